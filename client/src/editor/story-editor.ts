/** The editor of one sheet: a CodeMirror view put together for prose that two writers share.
 *
 * An imperative island: it knows nothing of Svelte, sockets or models. */

import { defaultKeymap, historyKeymap } from "@codemirror/commands"
import { openSearchPanel, search, searchKeymap } from "@codemirror/search"
import { Compartment, EditorState, type Extension, Transaction, type TransactionSpec } from "@codemirror/state"
import { drawSelection, EditorView, keymap, type ViewUpdate } from "@codemirror/view"
import type { DocumentHost, Snapshot } from "../sync/document-client.ts"
import { versioned } from "../sync/versioned.ts"
import { authorInk, type InkOf } from "./author-ink.ts"
import { authorship } from "../sync/authorship.ts"
import { direction } from "./direction.ts"
import { findPanel } from "./find-panel.ts"
import { follow, followListener, scrollToEnd, withCaretAtEnd } from "./follow.ts"
import { liveMarks, type LiveMarks, setLiveMarks } from "./live-marks.ts"
import { storyTheme } from "./theme.ts"
import { undoWithAuthors } from "./undo-authors.ts"
import { wordCount } from "./words.ts"

export interface StoryEditorOptions {
  readonly nonce: string
  /** What a screen reader calls the text. */
  readonly label: string
  readonly inkOf: InkOf
  /** The user changed the text. */
  onEdit(): void
  /** A composition began, went on or ended. */
  onComposing(): void
  /** The text changed, by whomever. */
  onText(): void
  onFocus(): void
  /** The growing end is kept in sight from now on, or no longer. */
  onFollow(following: boolean): void
}

export interface StoryEditor extends DocumentHost {
  mark(marks: LiveMarks): void
  freeze(readOnly: boolean): void
  focus(): void
  /** Opens find and replace. */
  find(): void
  /** Puts the caret at an offset, in sight. */
  goTo(at: number): void
  /** Scrolls to the end and follows it. */
  toEnd(): void
  destroy(): void
}

/** CodeMirror ends a composition, as `view.composing` says it, up to 50 ms after the browser does. */
const COMPOSITION_SETTLES_MS = 60

export function createStoryEditor(parent: HTMLElement, options: StoryEditorOptions): StoryEditor {
  const readOnly = new Compartment()
  const extensions = [readOnly.of([]), prose(options), listeners(options)]
  const stateAt = ({ text, authors, revision }: Snapshot, made: number) =>
    EditorState.create({ doc: text, extensions: [versioned.at(revision, made), authorship.from(authors), extensions] })
  const view = new EditorView({ parent, state: stateAt({ text: "", authors: [], revision: 0 }, 0) })
  // Until the first snapshot there is nothing to write into.
  view.dispatch({ effects: readOnly.reconfigure(frozen) })

  return {
    get state() {
      return view.state
    },
    get composing() {
      return view.composing
    },
    load(snapshot) {
      const { selection, doc } = view.state
      const caret = selection.main.head === doc.length ? Infinity : selection.main.head
      view.setState(stateAt(snapshot, versioned.of(view.state).made))
      view.dispatch({ selection: { anchor: Math.min(caret, view.state.doc.length) } })
      const following = view.plugin(follow)?.following ?? true
      options.onFollow(following)
      if (following) scrollToEnd(view)
      options.onText()
    },
    apply(spec) {
      dispatchRemote(view, spec)
    },
    mark: (marks) => view.dispatch({ effects: setLiveMarks.of(marks) }),
    freeze: (on) => view.dispatch({ effects: readOnly.reconfigure(on ? frozen : []) }),
    focus: () => view.focus(),
    find: () => void openSearchPanel(view),
    goTo(at) {
      const effects = EditorView.scrollIntoView(at, { y: "center" })
      view.dispatch({ selection: { anchor: at }, effects })
    },
    toEnd() {
      const plugin = view.plugin(follow)
      if (plugin) plugin.following = true
      scrollToEnd(view)
    },
    destroy: () => view.destroy(),
  }
}

function dispatchRemote(view: EditorView, spec: TransactionSpec): void {
  const following = view.plugin(follow)?.following
  const newLength = view.state.update(spec).newDoc.length
  view.dispatch(withCaretAtEnd(view.state, spec, newLength))
  if (following) scrollToEnd(view)
}

const frozen: Extension = [EditorState.readOnly.of(true), EditorView.editable.of(false)]

function prose(options: StoryEditorOptions): Extension {
  return [
    EditorView.cspNonce.of(options.nonce),
    EditorView.lineWrapping,
    EditorView.contentAttributes.of({
      "aria-label": options.label,
      spellcheck: "true",
      autocorrect: "on",
      autocapitalize: "sentences",
      tabindex: "0",
    }),
    // Fingers need the system's own caret and handles.
    matchMedia("(pointer: coarse)").matches ? [] : drawSelection(),
    direction,
    undoWithAuthors(),
    follow,
    followListener.of((following) => options.onFollow(following)),
    search({ top: true, createPanel: findPanel }),
    keymap.of([...proseKeys, ...historyKeymap, ...searchKeymap]),
    authorInk(options.inkOf),
    wordCount,
    liveMarks,
    storyTheme,
  ]
}

/** Keys for code (comments, moving lines) have no meaning in prose, and Ctrl+Enter belongs to the page. */
const proseKeys = defaultKeymap.filter(({ key }) => key !== "Mod-Enter" && !key?.startsWith("Alt-") && key !== "Mod-/")

function listeners(options: StoryEditorOptions): Extension {
  const composing = () => {
    options.onComposing()
    return false
  }
  const settled = () => {
    setTimeout(options.onComposing, COMPOSITION_SETTLES_MS)
    return false
  }
  return [
    EditorView.updateListener.of((update) => {
      if (update.docChanged) options.onText()
      if (isEdit(update)) options.onEdit()
    }),
    EditorView.domEventHandlers({ compositionstart: composing, compositionend: settled, focus: () => options.onFocus() }),
  ]
}

function isEdit(update: ViewUpdate): boolean {
  return update.transactions.some((transaction) => transaction.docChanged && !transaction.annotation(Transaction.remote))
}
