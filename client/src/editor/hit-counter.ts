/** Counts where a search hits in a long text, a piece at a time, so that neither a key nor a scroll waits for it. */

import type { SearchQuery } from "@codemirror/search"
import type { EditorState } from "@codemirror/state"

/** Beyond this many hits nobody needs the number. */
export const MOST_COUNTED = 1_000
/** Units of text searched without a break: a few milliseconds. */
const PIECE = 16_384
/** While the text changes all the time, it is counted again at most this often. */
const REST_MS = 1_000

export interface Hit {
  readonly from: number
  readonly to: number
}

export class HitCounter {
  /** Null while it counts for the first time. */
  hits: readonly Hit[] | null = null
  private state: EditorState | null = null
  private query: SearchQuery | null = null
  private timer: ReturnType<typeof setTimeout> | null = null
  private began = 0

  constructor(private readonly onCounted: () => void) {}

  /** Counts another search from now on. */
  search(query: SearchQuery, state: EditorState): void {
    this.stop()
    this.query = query
    this.hits = null
    this.begin(state)
  }

  /** The text changed: what is being counted is finished first. */
  changed(state: EditorState): void {
    this.state = state
    const wait = Math.max(0, this.began + REST_MS - Date.now())
    this.timer ??= setTimeout(() => this.state && this.begin(this.state), wait)
  }

  stop(): void {
    if (this.timer) clearTimeout(this.timer)
    this.timer = null
  }

  private begin(state: EditorState): void {
    this.began = Date.now()
    this.state = null
    this.count(state, 0, [])
  }

  private count(state: EditorState, from: number, hits: Hit[]): void {
    this.timer = null
    const { query } = this
    if (!query?.search) return
    // A hit may lie across the edge of two pieces; letters may be written in more units than in the search.
    const cursor = query.getCursor(state, from, Math.min(state.doc.length, from + PIECE + 4 * query.search.length))
    for (let next = cursor.next(); !next.done && hits.length < MOST_COUNTED; next = cursor.next()) {
      if (next.value.from < from + PIECE && next.value.from >= (hits.at(-1)?.to ?? 0)) hits.push(next.value)
    }
    if (from + PIECE < state.doc.length && hits.length < MOST_COUNTED) {
      this.timer = setTimeout(() => this.count(state, from + PIECE, hits), 0)
      return
    }
    this.hits = hits
    this.onCounted()
    if (this.state) this.changed(this.state)
  }
}
