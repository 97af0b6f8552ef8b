/** Hit counter: finds the hits of a search in a long text, a piece at a time, so that typing never waits for it. */

import type { SearchQuery } from "@codemirror/search"
import type { EditorState } from "@codemirror/state"

/** The search ends after this many hits. */
export const MOST_COUNTED = 1_000
/** The units of text that are searched without a break: a few milliseconds. */
const PIECE = 16_384
/** The least time between two counts of a text that keeps changing. */
const REST_MS = 1_000

export interface Hit {
  readonly from: number
  readonly to: number
}

export class HitCounter {
  /** The hits of the last complete count; null before the first. */
  hits: readonly Hit[] | null = null
  private state: EditorState | null = null
  private query: SearchQuery | null = null
  private timer: ReturnType<typeof setTimeout> | null = null
  private began = 0

  constructor(private readonly onCounted: () => void) {}

  /** Start counting another search. */
  search(query: SearchQuery, state: EditorState): void {
    this.stop()
    this.query = query
    this.hits = null
    this.begin(state)
  }

  /** Count again after a change of the text, once the running count has ended. */
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
    // A hit may cross the edge of two pieces, and may have more units than the search itself.
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
