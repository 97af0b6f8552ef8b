/** The wire: every event and answer of the `/story` namespace and of the REST paths, as types.
 *
 * Owns names and shapes only. Lengths and offsets are UTF-16 units; line breaks are `\n`. */

export const PROTOCOL = 1

/** Who wrote a text: `user`, or `model:<menu name>`. */
export type Author = string

/** A stretch of text by one author, by its length. */
export type AuthorRun = readonly [length: number, author: Author]

/** A stretch of text by its length, and when it was written: seconds since 1970, or null for a draft's beginning. */
export type TimeRun = readonly [length: number, at: number | null]

/** When each part of a draft's text was written, in all its length at `revision`. */
export interface History {
  readonly revision: number
  readonly written: readonly TimeRun[]
}

export type ErrorCode =
  | "invalid"
  | "unknown_draft"
  | "unknown_model"
  | "model_unavailable"
  | "behind"
  | "too_large"
  | "busy"
  | "rate_limited"
  | "storage"
  | "engine_down"
  | "protocol"

export interface WireError {
  readonly code: ErrorCode
  readonly message: string
}

export type Answer<T> = ({ readonly ok: true } & T) | { readonly ok: false; readonly error: WireError }

export interface Sampling {
  readonly temperature: number
  readonly top_k: number
  readonly top_p: number
  readonly min_p: number
  readonly typical_p: number
  readonly repetition_penalty: number
  readonly presence_penalty: number
  readonly frequency_penalty: number
  readonly penalty_range: number
  readonly dry_multiplier: number
  readonly dry_base: number
  readonly dry_allowed_length: number
  readonly xtc_probability: number
  readonly xtc_threshold: number
  readonly no_repeat_ngram: number
  readonly banned_words: readonly string[]
  readonly seed: number | null
  readonly min_length: number
  readonly stop_at_end: boolean
  /** Words per minute; null is as fast as it goes. */
  readonly pace: number | null
}

export interface Settings {
  readonly model: string
  readonly sampling: Sampling
  readonly premise: string | null
}

export type DraftState = "paused" | "loading" | "waiting" | "writing" | "held" | "ended" | "failed"

/** One update as the server sends it; `changes` is a ChangeSet in CodeMirror's JSON form. */
export interface WireUpdate {
  readonly client: string
  readonly author: Author
  readonly changes: unknown
  readonly authors?: readonly AuthorRun[]
  readonly tokens?: readonly (readonly [length: number, logprob: number])[]
}

/** One update as a client pushes it; `authors` only restores authors, for an undo. */
export interface PushedUpdate {
  readonly changes: unknown
  readonly authors?: readonly AuthorRun[]
}

export interface UpdatesEvent {
  readonly draft: string
  /** The revision before the first of the updates. */
  readonly revision: number
  readonly epoch: number
  readonly updates: readonly WireUpdate[]
}

export interface StateEvent {
  readonly draft: string
  readonly state: DraftState
  readonly model: string
  readonly detail?: string | null
  readonly progress?: number | null
  readonly tokens_per_second?: number | null
  readonly reaction_ms?: number | null
  /** Offset at which the text the model sees begins. */
  readonly window?: number | null
  readonly settings: Settings
}

interface Opened extends Partial<Omit<StateEvent, "draft" | "state" | "settings">> {
  /** The head: the revision after all that this answer holds. */
  readonly revision: number
  readonly epoch: number
  readonly state: DraftState
  readonly settings: Settings
}

export interface OpenedSnapshot extends Opened {
  readonly text: string
  readonly authors: readonly AuthorRun[]
}

export interface OpenedUpdates extends Opened {
  readonly updates: readonly WireUpdate[]
}

/** A text that could stand at a place, with the model's own probability for it. */
export interface Option {
  readonly text: string
  readonly probability: number
}

/** Every request a client makes: what it carries, and what a successful answer holds. */
export interface Requests {
  open: [{ draft: string; revision?: number }, OpenedSnapshot | OpenedUpdates]
  close: [{ draft: string }, object]
  edit: [{ draft: string; revision: number; client: string; updates: readonly PushedUpdate[] }, { revision: number }]
  start: [{ draft: string; limit?: number }, { epoch: number }]
  pause: [{ draft: string }, { revision: number }]
  configure: [{ draft: string; model?: string; sampling?: Partial<Sampling>; premise?: string }, Partial<Settings>]
  rewind: [{ draft: string; revision: number; from?: number }, { revision: number; kept: string }]
  alternatives: [
    { draft: string; revision: number; at: number },
    { revision: number; range: readonly [from: number, to: number]; options: readonly Option[] },
  ]
  retry: [{ draft: string; revision: number }, { revision: number; kept: string }]
}

/** Hints: sent without asking for an answer, lost without harm. */
export interface Hints {
  hold: { draft: string; composing: boolean }
  seen: { draft: string; revision: number }
}

/** What the document's client needs of a connection; the tests have their own. */
export interface Channel {
  readonly connected: boolean
  /** Rejects with LostAnswer when no answer came: the request may or may not have been carried out. */
  request<K extends keyof Requests>(event: K, payload: Requests[K][0]): Promise<Answer<Requests[K][1]>>
  hint<K extends keyof Hints>(event: K, payload: Hints[K]): void
}

export class LostAnswer extends Error {
  override readonly name = "LostAnswer"
}

export interface MenuEntry {
  readonly name: string
  readonly model: string
  readonly available: boolean
  readonly reason?: string | null
  /** The number format it computes in and that format's error, once it was loaded. */
  readonly precision?: string
}

export type Mode = "continue" | "prompt"

export interface Menu {
  readonly continue: readonly MenuEntry[]
  readonly prompt: readonly MenuEntry[]
  /** Where the configuration is broken, if it is. */
  readonly error?: string | null
}

export interface DraftEntry {
  readonly id: string
  readonly model: string
  readonly state: DraftState
  readonly parent?: string | null
  readonly forked_at?: number | null
}

export interface StoryEntry {
  readonly id: string
  readonly title: string
  readonly mode: Mode
  readonly updated: string | number
  readonly words: number
  readonly drafts: readonly DraftEntry[]
}
