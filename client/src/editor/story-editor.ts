/** Story editor: the CodeMirror view of one draft, set up for prose by several writers.
 *
 * Knows nothing of Svelte, sockets or models. */

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
  /** The name of the text for a screen reader. */
  readonly label: string
  readonly inkOf: InkOf
  /** Called when the user changes the text. */
  onEdit(): void
  /** Called when a composition begins and after it has ended. */
  onComposing(): void
  /** Called when the text changes, by an edit or by an update. */
  onText(): void
  onFocus(): void
  /** Called when following the end of the text begins or ends. */
  onFollow(following: boolean): void
}

export interface StoryEditor extends DocumentHost {
  mark(marks: LiveMarks): void
  freeze(readOnly: boolean): void
  focus(): void
  /** Open find and replace. */
  find(): void
  /** Put the caret at an offset and scroll to it. */
  goTo(at: number): void
  /** Scroll to the end and follow it. */
  toEnd(): void
  destroy(): void
}

/** `view.composing` becomes false up to 50 ms after the browser has ended a composition. */
const COMPOSITION_SETTLES_MS = 60

export function createStoryEditor(parent: HTMLElement, options: StoryEditorOptions): StoryEditor {
  const readOnly = new Compartment()
  const extensions = [readOnly.of([]), prose(options), listeners(options)]
  const stateAt = ({ text, authors, revision }: Snapshot, made: number) =>
    EditorState.create({ doc: text, extensions: [versioned.at(revision, made), authorship.from(authors), extensions] })
  const view = new EditorView({ parent, state: stateAt({ text: "", authors: [], revision: 0 }, 0) })
  // The text is read-only until the first snapshot.
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
    // Touch screens need the system's own caret and handles.
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

/** CodeMirror's default keys, except keys for code (comments, moving lines) and Ctrl+Enter, which is the page's. */
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
    EditorView.domEventHandlers({
      compositionstart: composing,
      compositionend: settled,
      focus: () => options.onFocus(),
    }),
  ]
}

function isEdit(update: ViewUpdate): boolean {
  return update.transactions.some(
    (transaction) => transaction.docChanged && !transaction.annotation(Transaction.remote),
  )
}
