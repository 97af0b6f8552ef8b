/** Following: keeps the growing end of the text in view, and moves a caret at the end along with it.
 *
 * Following ends when the reader scrolls up or puts the caret elsewhere, and begins again when the reader returns to
 * the end. */

import { EditorSelection, type EditorState, Facet, Transaction, type TransactionSpec } from "@codemirror/state"
import { type EditorView, ViewPlugin, type ViewUpdate } from "@codemirror/view"

/** The distance from the end, in pixels, that still counts as the end: about two lines. */
const NEAR_PX = 64
/** A scroll this soon after a wheel, touch or pointer event is the reader's own. */
const INTENT_MS = 2_000

/** The functions that are called when following begins or ends. */
export const followListener = Facet.define<(following: boolean) => void>()

class Follow {
  private lastTop = 0
  private intent = 0
  private isFollowing = true

  constructor(private readonly view: EditorView) {}

  get following(): boolean {
    return this.isFollowing
  }

  set following(following: boolean) {
    if (following === this.isFollowing) return
    this.isFollowing = following
    for (const listen of this.view.state.facet(followListener)) listen(following)
  }

  update(update: ViewUpdate): void {
    const own = update.transactions.some((tr) => tr.selection && !tr.annotation(Transaction.remote))
    if (own) this.following = update.state.selection.main.head === update.state.doc.length
    // The window has another shape, or a phone was turned.
    if (update.geometryChanged && this.following) scrollToEnd(this.view)
  }

  intends(): void {
    this.intent = Date.now()
  }

  scrolled(): void {
    const { scrollHeight, scrollTop, clientHeight } = this.view.scrollDOM
    const near = scrollHeight - scrollTop - clientHeight < NEAR_PX
    const moved = scrollTop - this.lastTop
    this.lastTop = scrollTop
    // Any other scroll comes from this plugin or from a text that became shorter.
    if (Date.now() - this.intent > INTENT_MS) return
    if (moved < 0) this.following = false
    else if (moved > 0 && near) this.following = true
  }
}

export const follow = ViewPlugin.fromClass(Follow, {
  eventObservers: {
    scroll() {
      this.scrolled()
    },
    wheel() {
      this.intends()
    },
    touchmove() {
      this.intends()
    },
    pointerdown() {
      this.intends()
    },
  },
})

export function scrollToEnd(view: EditorView): void {
  // CodeMirror's own scrollIntoView would stop short of the padding at the bottom.
  view.requestMeasure({
    key: scrollToEnd,
    read: () => undefined,
    write: () => (view.scrollDOM.scrollTop = view.scrollDOM.scrollHeight),
  })
}

/** Return `spec` such that an empty selection at the end of the text moves to the new end. */
export function withCaretAtEnd(state: EditorState, spec: TransactionSpec, newLength: number): TransactionSpec {
  const { main } = state.selection
  const moves = main.empty && main.head === state.doc.length && newLength !== state.doc.length
  return moves ? { ...spec, selection: EditorSelection.cursor(newLength) } : spec
}
