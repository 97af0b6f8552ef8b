/** Undo over the user's own edits, such that undoing a deletion of model text gives it back to the model.
 *
 * The history maps the effects it stores through changes of the wrong document (those before the undo), so what is
 * remembered holds no positions: the authors of the deleted text, in order. For that to be enough, deletions are
 * joined into one undo step only when each continues the last on the same side. */

import { history, invertedEffects } from "@codemirror/commands"
import { type Extension, StateField, Transaction } from "@codemirror/state"
import type { AuthorRun } from "../sync/protocol.ts"
import { authorship, remembered, type Side, USER } from "../sync/authorship.ts"

interface Deletion {
  readonly side: Side
  /** Where the deleted text stood. */
  readonly at: number
}

/** The last edit of the user, if it was a deletion that the next one may continue. */
const lastDeletion = StateField.define<Deletion | null>({
  create: () => null,
  update(last, transaction) {
    if (!transaction.docChanged) return last
    if (transaction.annotation(Transaction.remote)) return last && { ...last, at: transaction.changes.mapPos(last.at) }
    const range = deletedRange(transaction)
    const side = sideOf(transaction)
    return range && side ? { side, at: range.from } : null
  },
})

function sideOf(transaction: Transaction): Side {
  if (transaction.isUserEvent("delete.backward")) return "backward"
  return transaction.isUserEvent("delete.forward") ? "forward" : null
}

/** The range a transaction deletes, when it deletes one range and inserts nothing. */
function deletedRange(transaction: Transaction): { from: number; to: number } | null {
  const ranges: { from: number; to: number }[] = []
  let inserts = false
  transaction.changes.iterChanges((from, to, fromB, toB) => {
    ranges.push({ from, to })
    inserts ||= toB > fromB
  })
  return !inserts && ranges.length === 1 ? (ranges[0] ?? null) : null
}

function deletedAuthors(transaction: Transaction): AuthorRun[] {
  const runs: AuthorRun[] = []
  transaction.changes.iterChanges((from, to) => {
    if (to > from) runs.push(...authorship.runs(transaction.startState, from, to))
  }, true)
  return runs
}

function joins(transaction: Transaction, adjacent: boolean): boolean {
  if (!adjacent) return false
  const last = transaction.startState.field(lastDeletion)
  if (!last) return deletedAuthors(transaction).length === 0
  const range = deletedRange(transaction)
  if (!range || sideOf(transaction) !== last.side) return false
  return (last.side === "backward" ? range.to : range.from) === last.at
}

const remembersAuthors = invertedEffects.of((transaction) => {
  const side = sideOf(transaction)
  const runs = deletedAuthors(transaction)
  // A step of Backspaces needs them all; any other deletion matters only where it took another's text.
  const matters = side ? runs.length > 0 : runs.some(([, author]) => author !== USER)
  return matters ? [remembered.of({ side, runs })] : []
})

export function undoWithAuthors(): Extension {
  return [lastDeletion, remembersAuthors, history({ joinToEvent: joins })]
}
