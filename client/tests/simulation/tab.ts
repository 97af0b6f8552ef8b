/** Tab: a page without a DOM, made of an editor state and a document client, for tests that type into it. */

import { redo, undo } from "@codemirror/commands"
import { EditorState, type Extension, type TransactionSpec } from "@codemirror/state"
import { authorship } from "../../src/sync/authorship.ts"
import { withCaretAtEnd } from "../../src/editor/follow.ts"
import { undoWithAuthors } from "../../src/editor/undo-authors.ts"
import { DocumentClient, type DocumentHost, type Snapshot } from "../../src/sync/document-client.ts"
import { type Journal, MemoryJournal } from "../../src/sync/journal.ts"
import { versioned } from "../../src/sync/versioned.ts"
import type { Line } from "./authority.ts"

export class Tab implements DocumentHost {
  state = stateOf({ text: "", authors: [], revision: 0 }, 0)
  composing = false
  recoveries = 0
  refusals = 0
  readonly document: DocumentClient

  constructor(
    readonly line: Line,
    readonly journal: Journal = new MemoryJournal(),
  ) {
    this.document = new DocumentClient("d", this, line, journal, {
      opened: () => undefined,
      changed: () => undefined,
      recovered: () => this.recoveries++,
      refused: () => this.refusals++,
    })
    line.onUpdates = (event) => this.document.receive(event)
    this.document.connected()
  }

  get text(): string {
    return this.state.doc.toString()
  }

  load(snapshot: Snapshot): void {
    this.state = stateOf(snapshot, versioned.of(this.state).made)
  }

  apply(spec: TransactionSpec): void {
    const { newDoc } = this.state.update(spec)
    this.state = this.state.update(withCaretAtEnd(this.state, spec, newDoc.length)).state
  }

  do(spec: TransactionSpec): void {
    this.state = this.state.update(spec).state
    this.document.edited()
  }

  type(text: string, at = this.state.doc.length): void {
    const insert = this.state.toText(text)
    this.do({ changes: { from: at, insert }, selection: { anchor: at + insert.length }, userEvent: "input.type" })
  }

  delete(from: number, to: number, userEvent = "delete.selection"): void {
    this.do({ changes: { from, to }, selection: { anchor: from }, userEvent })
  }

  undo(): boolean {
    return undo({ state: this.state, dispatch: (transaction) => this.take(transaction.state) })
  }

  redo(): boolean {
    return redo({ state: this.state, dispatch: (transaction) => this.take(transaction.state) })
  }

  cut(): void {
    this.line.cut()
    this.line.connected = false
    this.document.disconnected()
  }

  mend(): void {
    this.line.connected = true
    this.document.connected()
  }

  private take(state: EditorState): void {
    this.state = state
    this.document.edited()
  }
}

function stateOf({ text, authors, revision }: Snapshot, made: number): EditorState {
  const extensions: Extension = [versioned.at(revision, made), authorship.from(authors), undoWithAuthors()]
  return EditorState.create({ doc: text, extensions })
}
