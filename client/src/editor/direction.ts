/** Text direction: every paragraph runs in the direction of its first letter. */

import { type Extension, Prec, RangeSetBuilder } from "@codemirror/state"
import { Decoration, type DecorationSet, EditorView, ViewPlugin, type ViewUpdate } from "@codemirror/view"

const RIGHT_TO_LEFT = /[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufeff]/
const byFirstLetter = Decoration.line({ attributes: { dir: "auto" } })

/** Mark only lines with right-to-left letters: on every marked line the browser searches for the first letter. */
function marks(view: EditorView): DecorationSet {
  const builder = new RangeSetBuilder<Decoration>()
  for (const { from, to } of view.visibleRanges) {
    for (let at = from; at <= to;) {
      const line = view.state.doc.lineAt(at)
      if (RIGHT_TO_LEFT.test(line.text)) builder.add(line.from, line.from, byFirstLetter)
      at = line.to + 1
    }
  }
  return builder.finish()
}

const marked = ViewPlugin.fromClass(
  class {
    decorations: DecorationSet
    constructor(view: EditorView) {
      this.decorations = marks(view)
    }
    update(update: ViewUpdate) {
      if (update.docChanged || update.viewportChanged) this.decorations = marks(update.view)
    }
  },
  { decorations: (plugin) => plugin.decorations },
)

export const direction: Extension = [Prec.lowest(marked), EditorView.perLineTextDirection.of(true)]
