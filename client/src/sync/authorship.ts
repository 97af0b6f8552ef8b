/** Authorship: the author of every part of the text.
 *
 * Model text is a set of ranges, mapped through every change; all other text is the user's. The server's runs are
 * authoritative and come with every snapshot. Knows nothing of colours, which are in `editor/author-ink.ts`. */

import {
  type ChangeSet,
  type EditorState,
  type Range,
  RangeSet,
  RangeValue,
  StateEffect,
  StateField,
  type Transaction,
} from "@codemirror/state"
import type { Author, AuthorRun } from "./protocol.ts"

export const USER: Author = "user"

/** Marks a range as one author's. The sides keep a range from growing when text is inserted at its edge. */
export class Ink extends RangeValue {
  constructor(readonly author: Author) {
    super()
  }
  override startSide = 1
  override endSide = -1
  override eq(other: RangeValue): boolean {
    return other instanceof Ink && other.author === this.author
  }
}

interface Stretch {
  readonly from: number
  readonly to: number
  readonly author: Author
}

/** Sets the author of a range in the document after the transaction. */
const wrote = StateEffect.define<Stretch>({
  map: ({ from, to, author }, changes) => {
    const stretch = { from: changes.mapPos(from, 1), to: changes.mapPos(to, -1), author }
    return stretch.from < stretch.to ? stretch : undefined
  },
})

export type Side = "backward" | "forward" | null

/** The authors of a deleted text, and on which side of the previous deletion of the undo step the text was. Holds no
 * positions, so it needs no mapping. */
export const remembered = StateEffect.define<{ readonly side: Side; readonly runs: readonly AuthorRun[] }>()

/** Return the authors of the text that `transaction` inserts, in order, if it is an undo that restores model text;
 * otherwise return no authors. */
export function restoredAuthors(transaction: Transaction): readonly AuthorRun[] {
  let runs: readonly AuthorRun[] = []
  // The history lists the latest deletion of a step first.
  for (const effect of [...transaction.effects].reverse()) {
    if (!effect.is(remembered)) continue
    runs = effect.value.side === "backward" ? [...effect.value.runs, ...runs] : [...runs, ...effect.value.runs]
  }
  if (runs.every(([, author]) => author === USER)) return []
  const length = runs.reduce((sum, [units]) => sum + units, 0)
  // A composition may have joined the deletion's undo step. The restored text is then not the remembered one.
  return length === insertedLength(transaction.changes) ? runs : []
}

/** Return the number of units that `changes` insert. */
export function insertedLength(changes: ChangeSet): number {
  let length = 0
  changes.iterChanges((_fromA, _toA, fromB, toB) => (length += toB - fromB))
  return length
}

/** Return effects that assign the text inserted by `changes` to `author`, or to the authors in `runs` if not empty. */
export function authorEffects(changes: ChangeSet, author: Author, runs: readonly AuthorRun[]): StateEffect<Stretch>[] {
  return stretches(changes, author, runs).map((stretch) => wrote.of(stretch))
}

function stretches(changes: ChangeSet, author: Author, runs: readonly AuthorRun[]): Stretch[] {
  const found: Stretch[] = []
  const rest = runs.map(([length, by]) => ({ length, by }))
  changes.iterChanges((_fromA, _toA, fromB, toB) => {
    for (let from = fromB; from < toB;) {
      const run = rest[0]
      const to = run ? Math.min(toB, from + run.length) : toB
      found.push({ from, to, author: run?.by ?? author })
      if (run && (run.length -= to - from) === 0) rest.shift()
      from = to
    }
  }, true)
  return found
}

const field = StateField.define<RangeSet<Ink>>({
  create: () => RangeSet.empty,
  update(inks, transaction) {
    if (transaction.docChanged) {
      inks = inks.map(transaction.changes)
      for (const stretch of stretches(transaction.changes, USER, restoredAuthors(transaction)))
        inks = paint(inks, stretch)
    }
    for (const effect of transaction.effects) if (effect.is(wrote)) inks = paint(inks, effect.value)
    return inks
  },
})

function paint(inks: RangeSet<Ink>, { from, to, author }: Stretch): RangeSet<Ink> {
  const add: Range<Ink>[] = []
  let start = from
  let end = to
  let touched = false
  inks.between(from, to, (a, b, ink) => {
    touched = true
    if (ink.author === author) {
      start = Math.min(start, a)
      end = Math.max(end, b)
      return
    }
    if (a < from) add.push(ink.range(a, from))
    if (b > to) add.push(ink.range(to, b))
  })
  if (author !== USER) add.push(new Ink(author).range(start, end))
  else if (!touched) return inks
  return inks.update({ filterFrom: from, filterTo: to, filter: (a, b) => b < from || a > to, add, sort: true })
}

export const authorship = {
  /** Return the extension for a text that begins with these runs. */
  from: (runs: readonly AuthorRun[]) => field.init(() => fromRuns(runs)),
  of: (state: EditorState): RangeSet<Ink> => state.field(field),
  /** Return the authors between `from` and `to`, as runs that sum to its length. */
  runs,
}

function fromRuns(runs: readonly AuthorRun[]): RangeSet<Ink> {
  const inks: Range<Ink>[] = []
  let at = 0
  for (const [length, author] of runs) {
    if (author !== USER && length > 0) inks.push(new Ink(author).range(at, at + length))
    at += length
  }
  return RangeSet.of(inks)
}

function runs(state: EditorState, from = 0, to = state.doc.length): AuthorRun[] {
  const found: [number, Author][] = []
  const push = (length: number, author: Author) => {
    const last = found.at(-1)
    if (last && last[1] === author) last[0] += length
    else if (length > 0) found.push([length, author])
  }
  let at = from
  state.field(field).between(from, to, (a, b, ink) => {
    const start = Math.max(a, from)
    const end = Math.min(b, to)
    push(start - at, USER)
    push(end - start, ink.author)
    at = Math.max(at, end)
  })
  push(to - at, USER)
  return found
}
