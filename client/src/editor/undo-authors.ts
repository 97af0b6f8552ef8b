/** Undo: takes back the user's own edits; model text that the user deleted becomes the model's again.
 *
 * The history maps stored effects through the changes of the document before the undo, which is the wrong document.
 * The stored effect therefore holds no positions, only the authors of the deleted text, in order. This is enough
 * because deletions join one undo step only if each continues the previous one on the same side. */

import { history, invertedEffects } from "@codemirror/commands"
import { type Extension, StateField, Transaction } from "@codemirror/state"
import type { AuthorRun } from "../sync/protocol.ts"
import { authorship, remembered, type Side, USER } from "../sync/authorship.ts"

interface Deletion {
  readonly side: Side
  /** The offset of the deleted text. */
  readonly at: number
}

/** The user's last edit, if it was a deletion that the next deletion may continue. */
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

/** Return the range that a transaction deletes, if it deletes exactly one range and inserts no text. */
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
  // A step of Backspaces needs the authors of every deletion; another deletion matters only if it took model text.
  const matters = side ? runs.length > 0 : runs.some(([, author]) => author !== USER)
  return matters ? [remembered.of({ side, runs })] : []
})

export function undoWithAuthors(): Extension {
  return [lastDeletion, remembersAuthors, history({ joinToEvent: joins })]
}
