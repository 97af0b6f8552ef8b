/** One open draft, as the page shows it: its state in scalars, its commands, and the editor it lives in.
 *
 * The document itself never enters reactive state. */

import { untrack } from "svelte"
import { authorship } from "../sync/authorship.ts"
import { createStoryEditor, type StoryEditor } from "../editor/story-editor.ts"
import { wordCount } from "../editor/words.ts"
import type { Connection } from "../sync/connection.ts"
import { DocumentClient } from "../sync/document-client.ts"
import type { Journal, Recovered } from "../sync/journal.ts"
import { type DraftState, type ErrorCode, LostAnswer, type Option, type Requests, type Sampling, type Settings, type StateEvent, type TimeRun } from "../sync/protocol.ts"
import { RequestFailed, rest } from "../sync/rest.ts"
import type { Inks } from "./inks.ts"
import { type Stroke, strokesOf } from "./tape.ts"

/** What sheets need of the page around them. */
export interface SheetSurroundings {
  readonly connection: Connection
  readonly journal: Journal
  readonly inks: Inks
  readonly nonce: string
}

const READINGS_MS = 500
const MOST_STROKES = 90
const TIMES_MS = 10_000
/** How long a command waits for what was typed just before it. */
const SETTLE_MS = 3_000
/** What the page says where the server's own words would not help. */
const GONE: Partial<Record<ErrorCode, string>> = {
  unknown_draft: "This draft was deleted. What you see can still be copied.",
}

export class Sheet {
  phase = $state<DraftState>("paused")
  detail = $state("")
  model = $state("")
  progress = $state(0)
  speed = $state(0)
  reaction = $state<number | null>(null)
  sampling = $state.raw<Sampling | null>(null)
  premise = $state<string | null>(null)
  words = $state(0)
  strokes = $state.raw<readonly Stroke[]>([])
  /** When it was written, as far as the server was asked. */
  times = $state.raw<readonly TimeRun[]>([])
  unsaved = $state(0)
  live = $state(false)
  opened = $state(false)
  keptOnDevice = $state(true)
  recovered = $state.raw<readonly Recovered[]>([])
  /** Whether the growing end is kept in sight. */
  following = $state(true)
  /** What went wrong last, as a sentence; empty when all is well. */
  problem = $state("")
  /** The server refuses the draft for good. */
  gone = $state(false)

  private editor: StoryEditor | null = null
  private document: DocumentClient | null = null
  private window = 0
  private timesRead = -Infinity
  private reading: ReturnType<typeof setTimeout> | null = null

  constructor(
    readonly draft: string,
    private readonly around: SheetSurroundings,
    private readonly onFocus: (sheet: Sheet) => void,
    private startWhenOpen: { limit?: number } | null = null,
  ) {}

  get usable(): boolean {
    return this.opened && !this.gone
  }

  /** Whether a run is on, whatever keeps it from writing right now. */
  get running(): boolean {
    return !["paused", "ended", "failed"].includes(this.phase)
  }

  /** Puts the editor into `parent` and opens the draft; answers what takes both down again. */
  attach = (parent: HTMLElement): (() => void) => untrack(() => this.open(parent))

  private open(parent: HTMLElement): () => void {
    const { connection, journal, inks, nonce } = this.around
    const editor = createStoryEditor(parent, {
      nonce,
      label: "Story text",
      inkOf: (author) => inks.ofAuthor(author),
      onEdit: () => this.document?.edited(),
      onComposing: () => this.document?.composing(),
      onText: () => this.readSoon(),
      onFocus: () => this.onFocus(this),
      onFollow: (following) => (this.following = following),
    })
    const document = new DocumentClient(this.draft, editor, connection, journal, {
      opened: (answer) => {
        this.take({ draft: this.draft, model: answer.settings.model, ...answer })
        this.read()
        if (!this.opened) editor.focus()
        this.opened = true
        if (this.startWhenOpen) void this.start(this.startWhenOpen.limit)
        this.startWhenOpen = null
      },
      changed: () => this.refresh(),
      recovered: () => void this.readRecovered(),
      refused: (error) => {
        this.problem = GONE[error.code] ?? error.message
        this.gone = true
        editor.freeze(true)
      },
    })
    this.editor = editor
    this.document = document
    const unlisten = connection.listen(this.draft, {
      connected: () => document.connected(),
      disconnected: () => document.disconnected(),
      updates: (event) => document.receive(event),
      state: (event) => this.take(event),
    })
    return () => {
      unlisten()
      document.close()
      editor.destroy()
      if (this.reading) clearTimeout(this.reading)
    }
  }

  /** Writes on, `limit` tokens or without end. */
  start = (limit?: number) => this.command("start", { draft: this.draft, ...(limit ? { limit } : {}) })
  pause = () => this.command("pause", { draft: this.draft })

  /** Back to the growing end, and along with it from there. */
  toEnd(): void {
    this.editor?.toEnd()
  }

  focus(): void {
    this.editor?.focus()
  }

  find(): void {
    this.editor?.find()
  }

  /** Puts the caret at a place of the text; the end where that is past it. */
  goTo(at: number): void {
    if (this.editor) this.editor.goTo(Math.min(at, this.editor.state.doc.length))
  }

  /** Asks the server when the text was written, unless it just did. Without an answer there are no times to show. */
  async readTimes(): Promise<void> {
    if (!this.opened || performance.now() - this.timesRead < TIMES_MS) return
    this.timesRead = performance.now()
    try {
      this.times = (await rest.history(this.draft)).written
    } catch (error) {
      if (!(error instanceof RequestFailed)) throw error
    }
  }

  /** Parks what follows the caret as a draft, and lets the model write on from there. */
  async continueFromHere(): Promise<void> {
    const from = this.editor?.state.selection.main.head
    if (from === undefined) return
    await this.document?.settled(SETTLE_MS)
    const here = this.editor?.state.selection.main.head ?? from
    if (here < (this.editor?.state.doc.length ?? 0)) {
      const cut = await this.command("rewind", { draft: this.draft, revision: this.revision, from: here })
      if (!cut) return
    }
    await this.start()
    this.toEnd()
  }

  /** What may come at the end of the text, by falling probability; nothing while that can't be said. */
  nextWords = async (): Promise<readonly Option[]> => {
    if (!this.editor || !this.live || this.unsaved) return []
    try {
      const at = this.editor.state.doc.length
      const answer = await this.around.connection.request("alternatives", { draft: this.draft, revision: this.revision, at })
      return answer.ok ? answer.options : []
    } catch (error) {
      if (!(error instanceof LostAnswer)) throw error
      return []
    }
  }

  async retry(): Promise<void> {
    await this.document?.settled(SETTLE_MS)
    await this.command("retry", { draft: this.draft, revision: this.revision })
  }

  /** Takes back the model's last stretch. A model that went on at once would seem to undo the undoing. */
  async rewind(): Promise<void> {
    if (this.running) await this.pause()
    await this.document?.settled(SETTLE_MS)
    await this.command("rewind", { draft: this.draft, revision: this.revision })
  }

  async configure(change: { model?: string; sampling?: Partial<Sampling>; premise?: string }): Promise<void> {
    const settings = await this.command("configure", { draft: this.draft, ...change })
    if (settings) this.takeSettings(settings)
  }

  async dropRecovered(id: string): Promise<void> {
    await this.around.journal.dropRecovered(id)
    await this.readRecovered()
  }

  private get revision(): number {
    return this.document?.revision ?? 0
  }

  private async command<K extends keyof Requests>(event: K, payload: Requests[K][0]): Promise<Requests[K][1] | null> {
    try {
      const answer = await this.around.connection.request(event, payload)
      this.problem = answer.ok ? "" : answer.error.message
      return answer.ok ? answer : null
    } catch (error) {
      if (!(error instanceof LostAnswer)) throw error
      this.problem = "The server did not answer. What you write is kept; try again when it is back."
      return null
    }
  }

  private take(event: StateEvent): void {
    this.phase = event.state
    this.detail = event.detail ?? ""
    this.progress = event.progress ?? 0
    this.speed = event.tokens_per_second ?? 0
    this.reaction = event.reaction_ms ?? this.reaction
    this.window = event.window ?? 0
    this.takeSettings(event.settings)
    this.mark()
  }

  private mark(): void {
    const head = this.phase === "writing" && this.live ? "writing" : this.running ? "held" : "absent"
    this.editor?.mark({ head, ink: this.around.inks.ofModel(this.model), window: this.window })
  }

  private takeSettings(settings: Partial<Settings>): void {
    this.model = settings.model ?? this.model
    this.sampling = settings.sampling ?? this.sampling
    this.premise = settings.premise ?? this.premise
  }

  private refresh(): void {
    if (!this.document) return
    this.unsaved = this.document.unsaved
    if (this.live !== this.document.live) {
      this.live = this.document.live
      this.mark()
    }
    this.keptOnDevice = this.document.keptOnDevice
  }

  private readSoon(): void {
    this.reading ??= setTimeout(() => {
      this.reading = null
      this.read()
    }, READINGS_MS)
  }

  private read(): void {
    if (!this.editor) return
    this.words = this.editor.state.field(wordCount)
    this.strokes = strokesOf(authorship.runs(this.editor.state), MOST_STROKES)
  }

  private async readRecovered(): Promise<void> {
    this.recovered = await this.around.journal.recovered(this.draft)
  }
}
