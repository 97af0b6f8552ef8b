/** Sheet: one open draft as the page shows it.
 *
 * Owns the draft's state, its commands and its editor. The text itself never enters reactive state. */

import { untrack } from "svelte"
import { authorship } from "../sync/authorship.ts"
import { createStoryEditor, type StoryEditor } from "../editor/story-editor.ts"
import { wordCount } from "../editor/words.ts"
import type { Connection } from "../sync/connection.ts"
import { DocumentClient } from "../sync/document-client.ts"
import type { Journal, Recovered } from "../sync/journal.ts"
import {
  type DraftState,
  type ErrorCode,
  LostAnswer,
  type Option,
  type Requests,
  type Sampling,
  type Settings,
  type StateEvent,
  type TimeRun,
} from "../sync/protocol.ts"
import { RequestFailed, rest } from "../sync/rest.ts"
import type { Inks } from "./inks.ts"
import { type Stroke, strokesOf } from "./tape.ts"

/** The parts of the page that every sheet shares. */
export interface SheetServices {
  readonly connection: Connection
  readonly journal: Journal
  readonly inks: Inks
  readonly nonce: string
}

const READINGS_MS = 500
const MOST_STROKES = 90
const TIMES_MS = 10_000
/** How long a command waits for the changes typed just before it. */
const SETTLE_MS = 3_000
/** Messages that replace the server's, if that one would not help. */
const GONE: Partial<Record<ErrorCode, string>> = {
  unknown_draft: "This draft was deleted. You can still copy the text.",
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
  /** The times of the text, as of the last answer of the server. */
  times = $state.raw<readonly TimeRun[]>([])
  unsaved = $state(0)
  live = $state(false)
  opened = $state(false)
  keptOnDevice = $state(true)
  recovered = $state.raw<readonly Recovered[]>([])
  /** Whether the view follows the end of the text. */
  following = $state(true)
  /** The last failure, as a sentence; empty if the last command worked. */
  problem = $state("")
  /** Whether the server refuses the draft for good. */
  gone = $state(false)

  private editor: StoryEditor | null = null
  private document: DocumentClient | null = null
  private window = 0
  private timesRead = -Infinity
  private reading: ReturnType<typeof setTimeout> | null = null

  constructor(
    readonly draft: string,
    private readonly services: SheetServices,
    private readonly onFocus: (sheet: Sheet) => void,
    private startWhenOpen: { limit?: number } | null = null,
  ) {}

  get usable(): boolean {
    return this.opened && !this.gone
  }

  /** Whether a run is active, even if the model is waiting. */
  get running(): boolean {
    return !["paused", "ended", "failed"].includes(this.phase)
  }

  /** Put the editor into `parent` and open the draft. Return the function that closes both. */
  attach = (parent: HTMLElement): (() => void) => untrack(() => this.open(parent))

  private open(parent: HTMLElement): () => void {
    const { connection, journal, inks, nonce } = this.services
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

  /** Start the model, for `limit` tokens or without a limit. */
  start = (limit?: number) => this.command("start", { draft: this.draft, ...(limit ? { limit } : {}) })
  pause = () => this.command("pause", { draft: this.draft })

  /** Scroll to the end of the text and follow it. */
  toEnd(): void {
    this.editor?.toEnd()
  }

  focus(): void {
    this.editor?.focus()
  }

  find(): void {
    this.editor?.find()
  }

  /** Put the caret at an offset, at most the end of the text. */
  goTo(at: number): void {
    if (this.editor) this.editor.goTo(Math.min(at, this.editor.state.doc.length))
  }

  /** Ask the server for the times of the text, unless the last answer is recent. On a failure the old times stay. */
  async readTimes(): Promise<void> {
    if (!this.opened || performance.now() - this.timesRead < TIMES_MS) return
    this.timesRead = performance.now()
    try {
      this.times = (await rest.history(this.draft)).written
    } catch (error) {
      if (!(error instanceof RequestFailed)) throw error
    }
  }

  /** Cut the text after the caret, which the server keeps as a draft, and start the model at the caret. */
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

  /** Return the likely next words at the end of the text, by descending probability; none while they are unknown. */
  nextWords = async (): Promise<readonly Option[]> => {
    if (!this.editor || !this.live || this.unsaved) return []
    try {
      const at = this.editor.state.doc.length
      const answer = await this.services.connection.request("alternatives", {
        draft: this.draft,
        revision: this.revision,
        at,
      })
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

  /** Remove the model's last passage. Pauses first, since a model that wrote on at once would seem to undo this. */
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
    await this.services.journal.dropRecovered(id)
    await this.readRecovered()
  }

  private get revision(): number {
    return this.document?.revision ?? 0
  }

  private async command<K extends keyof Requests>(event: K, payload: Requests[K][0]): Promise<Requests[K][1] | null> {
    try {
      const answer = await this.services.connection.request(event, payload)
      this.problem = answer.ok ? "" : answer.error.message
      return answer.ok ? answer : null
    } catch (error) {
      if (!(error instanceof LostAnswer)) throw error
      this.problem = "The server did not answer. Your changes are kept. Please try again."
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
    this.editor?.mark({ head, ink: this.services.inks.ofModel(this.model), window: this.window })
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
    this.recovered = await this.services.journal.recovered(this.draft)
  }
}
