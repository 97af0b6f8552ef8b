/** The tape: the text from its beginning to its end as a row of strokes, each in the ink of who wrote there. */

import { USER } from "../sync/authorship.ts"
import type { Author, AuthorRun } from "../sync/protocol.ts"

export interface Stroke {
  /** Offset in the text. */
  readonly from: number
  readonly length: number
  readonly author: Author
  /** Where its author's text begins. */
  readonly at: number
}

/** Text units that make a stroke of their own while there is room. */
const UNITS = 40

/** At most `most` strokes that cover the text that `runs` sum to. A person's stretch is never lost beside a longer one of a model. */
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

/** A person, if one wrote anything between `from` and `to`, else the first author; and where what they wrote begins.
 * Run `first` begins at `firstFrom`. */
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

/** The stroke at a share of the tape from 0 to 1; undefined at its end, past the last. */
export function strokeAt(strokes: readonly Stroke[], share: number): Stroke | undefined {
  return strokes[Math.floor(Math.max(0, share) * strokes.length)]
}
