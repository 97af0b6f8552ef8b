/** Following: a caret at the end of the text moves with the end, and no other selection does. */

import { EditorSelection, EditorState, type TransactionSpec } from "@codemirror/state"
import { expect, test } from "vitest"
import { withCaretAtEnd } from "../../src/editor/follow.ts"

/** The selection after `spec` has been applied to "Once", with the caret or selection that is given. */
function selectionAfter(anchor: number, head: number, spec: TransactionSpec): readonly [anchor: number, head: number] {
  const state = EditorState.create({ doc: "Once", selection: EditorSelection.single(anchor, head) })
  const newLength = state.update(spec).newDoc.length
  const { main } = state.update(withCaretAtEnd(state, spec, newLength)).state.selection
  return [main.anchor, main.head]
}

test("a caret at the end moves to the new end", () => {
  expect(selectionAfter(4, 4, { changes: { from: 4, insert: " upon" } })).toEqual([9, 9])
  expect(selectionAfter(4, 4, { changes: { from: 0, to: 2 } })).toEqual([2, 2])
})

test("a caret elsewhere stays", () => {
  expect(selectionAfter(2, 2, { changes: { from: 4, insert: " upon" } })).toEqual([2, 2])
})

test("a selection up to the end stays as it is", () => {
  expect(selectionAfter(1, 4, { changes: { from: 4, insert: " upon" } })).toEqual([1, 4])
})

test("a change that leaves the length the same leaves the transaction the same", () => {
  const spec = { changes: { from: 0, to: 1, insert: "o" } }
  const state = EditorState.create({ doc: "Once", selection: { anchor: 4 } })
  expect(withCaretAtEnd(state, spec, 4)).toBe(spec)
})
