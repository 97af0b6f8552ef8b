/** Protocol: the types of every event and answer of the `/story` namespace and of the REST paths.
 *
 * Owns names and shapes only. Lengths and offsets are UTF-16 units; line breaks are `\n`. */

export const PROTOCOL = 1

/** The author of a text: `user` or `model:<menu name>`. */
export type Author = string

/** A run of text by one author. */
export type AuthorRun = readonly [length: number, author: Author]

/** A run of text written at one time, in seconds since 1970; null for a draft's beginning. */
export type TimeRun = readonly [length: number, at: number | null]

/** The times at which the parts of a draft's text were written. The lengths sum to the text's length at `revision`. */
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
  /** Words per minute; null means as fast as possible. */
  readonly pace: number | null
}

export interface Settings {
  readonly model: string
  readonly sampling: Sampling
  readonly premise: string | null
}

export type DraftState = "paused" | "loading" | "waiting" | "writing" | "held" | "ended" | "failed"

/** An update from the server. `changes` is a ChangeSet in CodeMirror's JSON form. */
export interface WireUpdate {
  readonly client: string
  readonly author: Author
  readonly changes: unknown
  readonly authors?: readonly AuthorRun[]
  readonly tokens?: readonly (readonly [length: number, logprob: number])[]
}

/** An update from a page. `authors` restores the authors of deleted text, for an undo. */
export interface PushedUpdate {
  readonly changes: unknown
  readonly authors?: readonly AuthorRun[]
}

export interface UpdatesEvent {
  readonly draft: string
  /** The revision before the first update. */
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
  /** The offset at which the model's window begins. */
  readonly window?: number | null
  readonly settings: Settings
}

interface Opened extends Partial<Omit<StateEvent, "draft" | "state" | "settings">> {
  /** The revision after every update in this answer. */
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

/** A text that could come next, with the model's own probability for it. */
export interface Option {
  readonly text: string
  readonly probability: number
}

/** The requests of a page: the payload, and the content of a successful answer. */
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

/** The hints of a page. They have no answer, and losing one does no harm. */
export interface Hints {
  hold: { draft: string; composing: boolean }
  seen: { draft: string; revision: number }
}

/** The part of a connection that the document client needs. */
export interface Channel {
  readonly connected: boolean
  /** Send a request. Rejects with LostAnswer if no answer comes; the server may still have carried the request out. */
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
  /** The model's number format and its error, once the model has been loaded. */
  readonly precision?: string
}

export type Mode = "continue" | "prompt"

export interface Menu {
  readonly continue: readonly MenuEntry[]
  readonly prompt: readonly MenuEntry[]
  /** A sentence about the mistake in the configuration, if it has one. */
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
