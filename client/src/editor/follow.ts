/** Keeps the growing end in sight while the reader is there, and lets a caret at the very end ride it.
 *
 * The reader is at the end until he scrolls up or puts the caret elsewhere, and again when he comes back. */

import { EditorSelection, type EditorState, Facet, Transaction, type TransactionSpec } from "@codemirror/state"
import { type EditorView, ViewPlugin, type ViewUpdate } from "@codemirror/view"

/** How far from the end, in pixels, still counts as being there: about two lines. */
const NEAR_PX = 64
/** A scroll this soon after wheel, finger or pointer is the reader's own. */
const INTENT_MS = 2_000

/** Who wants to know when following begins or ends. */
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
    // A window that changed its shape, or a phone that was turned.
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
    // What scrolls without the reader is this plugin, or a text that became shorter.
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
