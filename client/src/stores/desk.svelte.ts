/** The desk: what is on it (a story's sheets, or the empty prompt), the model menu, the library and the connection. */

import { tick } from "svelte"
import { Connection, type Link } from "../sync/connection.ts"
import type { Journal } from "../sync/journal.ts"
import { LostAnswer, type Menu, type Mode, type StoryEntry } from "../sync/protocol.ts"
import { replayAbandoned } from "../sync/replay.ts"
import { type NewStory, RequestFailed, rest } from "../sync/rest.ts"
import { ChosenDrafts } from "./chosen-drafts.ts"
import { Inks } from "./inks.ts"
import type { Pace } from "./pace.ts"
import { Sheet } from "./sheet.svelte.ts"

const ROUTE = /^#\/story\/([\w-]+)(?:\/([\w-]+))?$/
/** In place of a draft in the route: all that the story began with. No id is that short. */
const OPENINGS = "openings"

export class Desk {
  link = $state<Link>("connecting")
  menu = $state.raw<Menu | null>(null)
  stories = $state.raw<readonly StoryEntry[]>([])
  /** The story on the desk; null: the empty prompt. */
  story = $state.raw<StoryEntry | null>(null)
  sheets = $state.raw<readonly Sheet[]>([])
  active = $state.raw<Sheet | null>(null)
  problem = $state("")

  private readonly inks = new Inks()
  private readonly chosen = new ChosenDrafts()
  private readonly connection: Connection
  /** Ends once the menu is there or can't be had. */
  private readonly asked: Promise<boolean>
  /** The story whose sheets start as soon as they are open, and how far they write. */
  private starting: { story: string; limit?: number } | null = null

  constructor(
    private readonly journal: Journal,
    private readonly nonce: string,
  ) {
    this.connection = new Connection(
      (link) => this.linked(link),
      (menu) => this.takeMenu(menu),
    )
    addEventListener("hashchange", () => void this.followRoute())
    this.asked = this.attempt(async () => this.takeMenu(await rest.menu()))
    void this.followRoute()
  }

  get running(): boolean {
    return this.sheets.some((sheet) => sheet.running)
  }

  get unsaved(): number {
    return this.sheets.reduce((sum, sheet) => sum + sheet.unsaved, 0)
  }

  get keptOnDevice(): boolean {
    return this.sheets.every((sheet) => sheet.keptOnDevice)
  }

  entries(mode: Mode) {
    return this.menu?.[mode] ?? []
  }

  /** Number format of a model and its error, once it was loaded. */
  precisionOf = (model: string): string | undefined =>
    this.story ? this.entries(this.story.mode).find((entry) => entry.name === model)?.precision : undefined

  inkOf = (model: string): number => this.inks.ofModel(model)

  /** Makes a story, puts it on the desk and starts its model, for `limit` tokens or without end. Answers false, with `problem` said, if it can't. */
  async create(story: NewStory, limit?: number): Promise<boolean> {
    return this.act(async () => {
      const made = await rest.create(story)
      this.starting = { story: made.id, ...(limit ? { limit } : {}) }
      location.hash = `#/story/${made.id}`
    })
  }

  /** Starts every sheet on the desk, or pauses them all if one is running. */
  async toggle(): Promise<void> {
    const running = this.running
    await Promise.all(this.sheets.map((sheet) => (running ? sheet.pause() : sheet.start())))
  }

  /** Leaves this sheet alone on the desk and lets it go on without end; the others are parked in the story. */
  async goOnWith(sheet: Sheet): Promise<void> {
    const { story } = this
    if (!story) return
    await Promise.all(this.sheets.filter((other) => other !== sheet && other.running).map((other) => other.pause()))
    this.starting = { story: story.id }
    this.chosen.choose(story.id, sheet.draft)
    location.hash = `#/story/${story.id}/${sheet.draft}`
  }

  retry = () => this.cut((sheet) => sheet.retry())
  rewind = () => this.cut((sheet) => sheet.rewind())

  continueFromHere = () => this.cut((sheet) => sheet.continueFromHere())

  /** Every sheet on the desk writes at this pace. */
  async setPace(pace: Pace): Promise<void> {
    await Promise.all(this.sheets.map((sheet) => sheet.configure({ sampling: { pace } })))
  }

  /** The keyboard goes to the next of the sheets side by side. */
  nextSheet(): void {
    const next = this.sheets[(this.sheets.findIndex((sheet) => sheet === this.active) + 1) % this.sheets.length]
    this.active = next ?? null
    // A narrow screen shows the sheet only now.
    void tick().then(() => next?.focus())
  }

  listStories = () =>
    this.attempt(async () => {
      this.stories = await rest.stories()
    })

  async rename(story: StoryEntry, title: string): Promise<void> {
    await this.act(async () => {
      const renamed = await rest.rename(story.id, title)
      if (this.story?.id === story.id) this.story = renamed
    })
    await this.listStories()
  }

  async remove(story: StoryEntry): Promise<void> {
    if (this.story?.id === story.id) location.hash = ""
    if (await this.act(() => rest.remove(story.id))) this.chosen.forget(story.id)
    await this.listStories()
  }

  /** A cut keeps what it removed as another draft of the story. */
  private async cut(act: (sheet: Sheet) => Promise<void>): Promise<void> {
    if (this.active) await act(this.active)
    const { story } = this
    if (story) await this.attempt(async () => void (this.story = await rest.story(story.id)))
  }

  private async followRoute(): Promise<void> {
    const [, id, draft] = ROUTE.exec(location.hash) ?? []
    if (!id || !(await this.show(id, draft))) this.clear()
    // Once the sheets that went are closed, what they had not sent is nobody's.
    await tick()
    await this.sendLeftovers()
  }

  private show(id: string, draft: string | undefined): Promise<boolean> {
    return this.act(async () => {
      const story = await rest.story(id)
      // Inks go by the menu's order; a draft that came first would take another's.
      await this.asked
      const only = draft === OPENINGS ? undefined : this.draftToShow(story, draft)
      // Drafts with a parent are what a cut kept; they come onto the desk only when asked for.
      const shown = story.drafts.filter((entry) => (only ? entry.id === only : !entry.parent))
      const start = this.starting?.story === id ? this.starting : null
      this.starting = null
      const focused = (sheet: Sheet) => (this.active = sheet)
      const { connection, journal, inks, nonce } = this
      const around = { connection, journal, inks, nonce }
      this.story = story
      this.sheets = shown.map((entry) => new Sheet(entry.id, around, focused, start))
      this.active = this.sheets[0] ?? null
    })
  }

  /** The draft asked for, else the one its writer went on with, as long as it exists; undefined: all that the story began with. */
  private draftToShow(story: StoryEntry, asked: string | undefined): string | undefined {
    const draft = asked ?? this.chosen.of(story.id)
    return story.drafts.some((entry) => entry.id === draft) ? draft : undefined
  }

  private clear(): void {
    this.story = null
    this.sheets = []
    this.active = null
    void this.listStories()
  }

  private linked(link: Link): void {
    this.link = link
    if (link !== "connected") return
    if (!this.menu) void this.attempt(async () => this.takeMenu(await rest.menu()))
    void this.sendLeftovers()
  }

  /** What was written in stories that are not on the desk any more, and did not reach the server then. */
  private async sendLeftovers(): Promise<void> {
    try {
      await replayAbandoned(undefined, this.journal, this.connection)
    } catch (error) {
      // It stays in the journal for the next connection.
      if (!(error instanceof LostAnswer)) throw error
    }
  }

  private takeMenu(menu: Menu): void {
    this.inks.learn(menu)
    this.menu = menu
  }

  /** Does what the user asked for; what was said about the last thing he asked for goes. */
  private act(act: () => Promise<unknown>): Promise<boolean> {
    this.problem = ""
    return this.attempt(act)
  }

  /** Answers whether it worked; `problem` says why not. */
  private async attempt(act: () => Promise<unknown>): Promise<boolean> {
    try {
      await act()
      return true
    } catch (error) {
      if (!(error instanceof RequestFailed)) throw error
      this.problem = error.message
      return false
    }
  }
}
