/** Desk: the page's set of open sheets, with the story they belong to.
 *
 * Owns the route, the model menu, the list of stories and the connection. The desk is empty while no story is open. */

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
/** Stands for all openings, in place of a draft's id in the route. Ids are longer. */
const OPENINGS = "openings"

export class Desk {
  link = $state<Link>("connecting")
  menu = $state.raw<Menu | null>(null)
  stories = $state.raw<readonly StoryEntry[]>([])
  /** The open story; null while the desk is empty. */
  story = $state.raw<StoryEntry | null>(null)
  sheets = $state.raw<readonly Sheet[]>([])
  active = $state.raw<Sheet | null>(null)
  problem = $state("")

  private readonly inks = new Inks()
  private readonly chosen = new ChosenDrafts()
  private readonly connection: Connection
  /** Resolves once the menu has been loaded or the request has failed. */
  private readonly menuAsked: Promise<boolean>
  /** The story whose sheets start to write as soon as they are open, and their limit in tokens. */
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
    this.menuAsked = this.attempt(async () => this.takeMenu(await rest.menu()))
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

  /** Return the number format of a model and its error, if the model has been loaded. */
  precisionOf = (model: string): string | undefined =>
    this.story ? this.entries(this.story.mode).find((entry) => entry.name === model)?.precision : undefined

  inkOf = (model: string): number => this.inks.ofModel(model)

  /** Create a story, open it and start its models, for `limit` tokens or without a limit. Return whether that worked;
   * if not, `problem` says why. */
  async create(story: NewStory, limit?: number): Promise<boolean> {
    return this.act(async () => {
      const made = await rest.create(story)
      this.starting = { story: made.id, ...(limit ? { limit } : {}) }
      location.hash = `#/story/${made.id}`
    })
  }

  /** Start every sheet, or pause every sheet if one is running. */
  async toggle(): Promise<void> {
    const running = this.running
    await Promise.all(this.sheets.map((sheet) => (running ? sheet.pause() : sheet.start())))
  }

  /** Show only this sheet and continue it without a limit. The other drafts stay in the story. */
  async continueWith(sheet: Sheet): Promise<void> {
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

  /** Set the pace of every sheet. */
  async setPace(pace: Pace): Promise<void> {
    await Promise.all(this.sheets.map((sheet) => sheet.configure({ sampling: { pace } })))
  }

  /** Move the keyboard focus to the next sheet. */
  nextSheet(): void {
    const next = this.sheets[(this.sheets.findIndex((sheet) => sheet === this.active) + 1) % this.sheets.length]
    this.active = next ?? null
    // A narrow screen shows the sheet only after the next tick.
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

  /** Cut text from the active sheet, then read the story again: the removed text is kept as another of its drafts. */
  private async cut(act: (sheet: Sheet) => Promise<void>): Promise<void> {
    if (this.active) await act(this.active)
    const { story } = this
    if (story) await this.attempt(async () => void (this.story = await rest.story(story.id)))
  }

  private async followRoute(): Promise<void> {
    const [, id, draft] = ROUTE.exec(location.hash) ?? []
    if (!id || !(await this.show(id, draft))) this.clear()
    // The unsent updates of sheets that closed have no owner after this tick.
    await tick()
    await this.sendLeftovers()
  }

  private show(id: string, draft: string | undefined): Promise<boolean> {
    return this.act(async () => {
      const story = await rest.story(id)
      // Inks follow the order of the menu, so the menu must come first.
      await this.menuAsked
      const only = draft === OPENINGS ? undefined : this.draftToShow(story, draft)
      // Drafts with a parent hold text that was cut. They open only by their own route.
      const shown = story.drafts.filter((entry) => (only ? entry.id === only : !entry.parent))
      const start = this.starting?.story === id ? this.starting : null
      this.starting = null
      const focused = (sheet: Sheet) => (this.active = sheet)
      const { connection, journal, inks, nonce } = this
      const services = { connection, journal, inks, nonce }
      this.story = story
      this.sheets = shown.map((entry) => new Sheet(entry.id, services, focused, start))
      this.active = this.sheets[0] ?? null
    })
  }

  /** Return the draft that the route names, or else the draft that the user continued, if it exists; undefined stands
   * for all openings. */
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

  /** Send the updates of closed sheets that did not reach the server. */
  private async sendLeftovers(): Promise<void> {
    try {
      await replayAbandoned(undefined, this.journal, this.connection)
    } catch (error) {
      // The updates stay in the journal for the next connection.
      if (!(error instanceof LostAnswer)) throw error
    }
  }

  private takeMenu(menu: Menu): void {
    this.inks.learn(menu)
    this.menu = menu
  }

  /** Run an action of the user, and clear the problem of the previous one. */
  private act(act: () => Promise<unknown>): Promise<boolean> {
    this.problem = ""
    return this.attempt(act)
  }

  /** Run an action. Return whether it worked; if not, `problem` says why. */
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
