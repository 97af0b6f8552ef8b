/** Live marks: the writing head is at the end, and the window's line is above its paragraph, through every change. */

import { EditorState } from "@codemirror/state"
import { type DecorationSet, EditorView } from "@codemirror/view"
import { expect, test } from "vitest"
import { type LiveMarks, liveMarks, setLiveMarks } from "../../src/editor/live-marks.ts"

const TEXT = "One.\nTwo.\nThree."

function stateWith(marks: LiveMarks): EditorState {
  const state = EditorState.create({ doc: TEXT, extensions: liveMarks })
  return state.update({ effects: setLiveMarks.of(marks) }).state
}

/** The drawn marks: each with its offset. */
function drawn(state: EditorState): [at: number, mark: string][] {
  const found: [number, string][] = []
  for (const set of state.facet(EditorView.decorations) as readonly DecorationSet[]) {
    set.between(0, state.doc.length, (from, _to, { spec }) => {
      found.push([from, (spec as { class?: string }).class ?? "head"])
    })
  }
  return found
}

test("without a run there are no marks", () => {
  expect(drawn(EditorState.create({ doc: TEXT, extensions: liveMarks }))).toEqual([])
  expect(drawn(stateWith({ head: "absent", ink: 0, window: 0 }))).toEqual([])
})

test("the head is at the end, also after the text has grown", () => {
  let state = stateWith({ head: "writing", ink: 2, window: 0 })
  expect(drawn(state)).toEqual([[TEXT.length, "head"]])
  state = state.update({ changes: { from: TEXT.length, insert: " Four." } }).state
  expect(drawn(state)).toEqual([[TEXT.length + 6, "head"]])
})

test("the window's line is above its paragraph, also after a change before it", () => {
  let state = stateWith({ head: "held", ink: 0, window: 7 })
  expect(drawn(state)[0]).toEqual([5, "window-begins"])
  state = state.update({ changes: { from: 0, insert: "Zero.\n" } }).state
  expect(drawn(state)[0]).toEqual([11, "window-begins"])
})

test("a window at the end of the text has no line", () => {
  expect(drawn(stateWith({ head: "absent", ink: 0, window: TEXT.length }))).toEqual([])
})
