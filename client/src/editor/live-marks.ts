/** Live marks: the writing head at the end of the text, and the line at which the model's window begins. */

import { type EditorState, StateEffect, StateField } from "@codemirror/state"
import { Decoration, type DecorationSet, EditorView, WidgetType } from "@codemirror/view"

/** `absent`: no run is active. `held`: the model is waiting. */
export type WritingHead = "absent" | "writing" | "held"

export interface LiveMarks {
  readonly head: WritingHead
  /** The ink of the model that writes. */
  readonly ink: number
  /** The offset at which the model's window begins; 0 draws no line. */
  readonly window: number
}

/** Replaces the marks. From then on `window` is mapped through changes. */
export const setLiveMarks = StateEffect.define<LiveMarks>()

const field = StateField.define<LiveMarks>({
  create: () => ({ head: "absent", ink: 0, window: 0 }),
  update(marks, transaction) {
    if (transaction.docChanged && marks.window) {
      marks = { ...marks, window: transaction.changes.mapPos(marks.window) }
    }
    for (const effect of transaction.effects) if (effect.is(setLiveMarks)) marks = effect.value
    return marks
  },
  provide: (self) => EditorView.decorations.compute([self, "doc"], (state) => draw(state, state.field(self))),
})

function draw(state: EditorState, { head, ink, window }: LiveMarks): DecorationSet {
  const marks = []
  const end = state.doc.length
  // The line is drawn above the paragraph in which the window begins.
  if (window > 0 && window < end) marks.push(windowLine.range(state.doc.lineAt(window).from))
  if (head !== "absent") marks.push(Decoration.widget({ widget: new Head(head, ink), side: 1 }).range(end))
  return Decoration.set(marks, true)
}

const windowLine = Decoration.line({ class: "window-begins" })

class Head extends WidgetType {
  constructor(
    private readonly state: WritingHead,
    private readonly ink: number,
  ) {
    super()
  }

  override eq(other: Head): boolean {
    return other.state === this.state && other.ink === this.ink
  }

  override toDOM(): HTMLElement {
    const head = document.createElement("span")
    head.className = `writing-head ink-${this.ink} ${this.state}`
    head.ariaHidden = "true"
    return head
  }
}

export const liveMarks = field
