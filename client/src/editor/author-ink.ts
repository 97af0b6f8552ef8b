/** Author ink: draws model text in the colour of its model, for the part of the text on screen. */

import { RangeSetBuilder } from "@codemirror/state"
import { Decoration, type DecorationSet, type EditorView, ViewPlugin, type ViewUpdate } from "@codemirror/view"
import type { Author } from "../sync/protocol.ts"
import { authorship } from "../sync/authorship.ts"

/** Return the number of an author's ink, from 0. A model has the same ink everywhere on the page. */
export type InkOf = (author: Author) => number

const INKS = 6
const marks = Array.from({ length: INKS }, (_, ink) => Decoration.mark({ class: `by-model ink-${ink}` }))

export function authorInk(inkOf: InkOf) {
  const draw = (view: EditorView): DecorationSet => {
    const builder = new RangeSetBuilder<Decoration>()
    for (const visible of view.visibleRanges) {
      authorship.of(view.state).between(visible.from, visible.to, (from, to, ink) => {
        const mark = marks[inkOf(ink.author) % INKS]
        const start = Math.max(from, visible.from)
        const end = Math.min(to, visible.to)
        if (mark && start < end) builder.add(start, end, mark)
      })
    }
    return builder.finish()
  }
  return ViewPlugin.fromClass(
    class {
      decorations: DecorationSet
      constructor(view: EditorView) {
        this.decorations = draw(view)
      }
      update(update: ViewUpdate) {
        const inksChanged = authorship.of(update.state) !== authorship.of(update.startState)
        if (update.viewportChanged || inksChanged) this.decorations = draw(update.view)
      }
    },
    { decorations: (plugin) => plugin.decorations },
  )
}
