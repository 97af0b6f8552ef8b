/** Keeps the growing end in sight while the reader is there, and lets a caret at the very end ride it.
 *
 * Whether the reader is at the end is judged before each change; scrolled up by a little, the view stays put. */

import { EditorSelection, type EditorState, type TransactionSpec } from "@codemirror/state"
import type { EditorView } from "@codemirror/view"

/** How far from the end, in pixels, still counts as being there: about two lines. */
const NEAR_PX = 64

export function isAtEnd(view: EditorView): boolean {
  const { scrollHeight, scrollTop, clientHeight } = view.scrollDOM
  return scrollHeight - scrollTop - clientHeight < NEAR_PX
}

export function scrollToEnd(view: EditorView): void {
  // Measured after CodeMirror has drawn; its own scrollIntoView would stop short of the bottom padding.
  view.requestMeasure({
    key: scrollToEnd,
    read: () => undefined,
    write: () => (view.scrollDOM.scrollTop = view.scrollDOM.scrollHeight),
  })
}

/** `spec`, with a collapsed caret that stands at the very end taken along to the new end. */
export function withCaretAtEnd(state: EditorState, spec: TransactionSpec, newLength: number): TransactionSpec {
  const { main } = state.selection
  const rides = main.empty && main.head === state.doc.length && newLength !== state.doc.length
  return rides ? { ...spec, selection: EditorSelection.cursor(newLength) } : spec
}
