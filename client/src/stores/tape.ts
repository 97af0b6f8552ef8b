/** The tape: the text from its beginning to its end as a row of strokes, each in the ink of who wrote there. */

import { USER } from "../editor/authorship.ts"
import type { Author, AuthorRun } from "../sync/protocol.ts"

export interface Stroke {
  /** Offset in the text. */
  readonly from: number
  readonly length: number
  readonly author: Author
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
    strokes.push({ from, length: to - from, author: authorBetween(runs, first, firstFrom, to) })
  }
  return strokes
}

/** A person, if one wrote anything from run `first`, which begins at `from`, up to `to`; else the first author. */
function authorBetween(runs: readonly AuthorRun[], first: number, from: number, to: number): Author {
  let author: Author | undefined
  for (let index = first; index < runs.length && from < to; index++) {
    const [length, by] = runs[index] as AuthorRun
    if (author === undefined || by === USER) author = by
    from += length
  }
  return author ?? USER
}
