/** Tape: the text from beginning to end as a row of strokes, each with the author of its part. */

import { USER } from "../sync/authorship.ts"
import type { Author, AuthorRun } from "../sync/protocol.ts"

export interface Stroke {
  /** The offset in the text. */
  readonly from: number
  readonly length: number
  readonly author: Author
  /** The offset at which the author's text begins within the stroke. */
  readonly at: number
}

/** The units of text per stroke, unless the text needs more than `most` strokes. */
const UNITS = 40

/** Return at most `most` strokes that cover the text of `runs`. A stroke with any text of the user is the user's, so
 * that short edits stay visible. */
export function strokesOf(runs: readonly AuthorRun[], most: number): readonly Stroke[] {
  const total = runs.reduce((sum, [length]) => sum + length, 0)
  const count = Math.min(most, Math.ceil(total / UNITS))
  const strokes: Stroke[] = []
  let first = 0
  let firstFrom = 0
  for (let index = 0; index < count; index++) {
    const from = Math.round((index * total) / count)
    const to = Math.round(((index + 1) * total) / count)
    for (let run = runs[first]; run && firstFrom + run[0] <= from; run = runs[++first]) firstFrom += run[0]
    strokes.push({ from, length: to - from, ...authorBetween(runs, first, firstFrom, from, to) })
  }
  return strokes
}

/** Return the author of a stroke between `from` and `to`, and where that author's text begins: the user if any text
 * is theirs, otherwise the first author. Run `first` begins at `firstFrom`. */
function authorBetween(runs: readonly AuthorRun[], first: number, firstFrom: number, from: number, to: number) {
  let found: { author: Author; at: number } | undefined
  for (let index = first, at = firstFrom; index < runs.length && at < to; index++) {
    const [length, author] = runs[index] as AuthorRun
    if (author === USER) return { author, at: Math.max(at, from) }
    found ??= { author, at: Math.max(at, from) }
    at += length
  }
  return found ?? { author: USER, at: from }
}

/** Return the stroke at a share of the tape from 0 to 1; undefined at the end of the tape. */
export function strokeAt(strokes: readonly Stroke[], share: number): Stroke | undefined {
  return strokes[Math.floor(Math.max(0, share) * strokes.length)]
}
