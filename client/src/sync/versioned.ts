/** Versioned document: a revision of the server's, and the user's updates that are not confirmed.
 *
 * The algebra (operational transformation) is that of `@codemirror/collab`. It is implemented here because a large
 * paste or undo is sent as several updates, each confirmed by itself, and because updates carry authors. Knows nothing
 * of sockets or journals. */

import {
  Annotation,
  ChangeSet,
  type EditorState,
  StateEffect,
  StateField,
  Transaction,
  type TransactionSpec,
} from "@codemirror/state"
import { authorEffects, insertedLength, restoredAuthors } from "./authorship.ts"
import type { Author, AuthorRun, PushedUpdate, WireUpdate } from "./protocol.ts"
import { splitChanges } from "./split-changes.ts"

/** The most units that one update inserts: below 256 KiB even if every unit becomes a six-byte escape. */
export const UPDATE_UNITS = 32_768
/** The most places that one update changes. The server accepts 20,000 in one event. */
const UPDATE_PLACES = 5_000

export interface LocalUpdate {
  readonly changes: ChangeSet
  readonly authors: readonly AuthorRun[]
}

export interface RemoteUpdate {
  readonly client: string
  readonly author: Author
  readonly changes: ChangeSet
  readonly authors: readonly AuthorRun[]
}

export interface Versioned {
  /** The server's revision that this document is based on, without `unconfirmed`. */
  readonly revision: number
  readonly unconfirmed: readonly LocalUpdate[]
  /** The number of local updates so far, including the confirmed ones. */
  readonly made: number
}

const synced = Annotation.define<Versioned>()

const field = StateField.define<Versioned>({
  create: () => ({ revision: 0, unconfirmed: [], made: 0 }),
  update(value, transaction) {
    const received = transaction.annotation(synced)
    if (received) return received
    if (transaction.changes.empty) return value
    const updates = localUpdates(transaction)
    return { ...value, unconfirmed: [...value.unconfirmed, ...updates], made: value.made + updates.length }
  },
})

export const versioned = {
  /** Return the extension for a document at `revision`. `made` continues the count of an earlier snapshot. */
  at: (revision: number, made = 0) => field.init(() => ({ revision, unconfirmed: [], made })),
  of: (state: EditorState): Versioned => state.field(field),
}

function localUpdates(transaction: Transaction): LocalUpdate[] {
  let authors = restoredAuthors(transaction)
  return splitChanges(transaction.changes, UPDATE_UNITS, UPDATE_PLACES).map((changes) => {
    const [here, rest] = splitRuns(authors, insertedLength(changes))
    authors = rest
    return { changes, authors: here }
  })
}

function splitRuns(runs: readonly AuthorRun[], at: number): [AuthorRun[], AuthorRun[]] {
  const before: AuthorRun[] = []
  const after: AuthorRun[] = []
  let unitsLeft = at
  for (const [length, author] of runs) {
    const here = Math.min(unitsLeft, length)
    if (here > 0) before.push([here, author])
    if (length > here) after.push([length - here, author])
    unitsLeft -= here
  }
  return [before, after]
}

/** The result of receiving updates: the new version, and the change to the document. */
interface Received {
  readonly after: Versioned
  readonly changes: ChangeSet | null
  readonly effects: readonly StateEffect<unknown>[]
}

/** Advance `before` over `updates`, which follow its revision without a gap.
 *
 * An update by `client` confirms the oldest unconfirmed update. Over every other update the unconfirmed ones are
 * rebased, one update at a time: rebasing over a composition can give another text, so the text would depend on how
 * the updates were batched. */
export function advance(before: Versioned, client: string, updates: readonly RemoteUpdate[]): Received {
  let { unconfirmed } = before
  let changes: ChangeSet | null = null
  let effects: readonly StateEffect<unknown>[] = []
  for (const update of updates) {
    if (unconfirmed.length && update.client === client) {
      unconfirmed = unconfirmed.slice(1)
      continue
    }
    const rebased = rebase(unconfirmed, update)
    unconfirmed = rebased.unconfirmed
    effects = [...StateEffect.mapEffects(effects, rebased.changes), ...rebased.effects]
    changes = changes ? changes.compose(rebased.changes) : rebased.changes
  }
  const after: Versioned = { revision: before.revision + updates.length, unconfirmed, made: before.made }
  return { after, changes, effects }
}

/** Rebase the unconfirmed updates over another writer's update, so that this update comes first. */
function rebase(unconfirmed: readonly LocalUpdate[], update: RemoteUpdate) {
  let { changes } = update
  let effects: readonly StateEffect<unknown>[] = authorEffects(changes, update.author, update.authors)
  const rebased: LocalUpdate[] = []
  for (const local of unconfirmed) {
    const moved = { ...local, changes: local.changes.map(changes) }
    effects = StateEffect.mapEffects(effects, moved.changes)
    changes = changes.map(local.changes, true)
    rebased.push(moved)
  }
  return { unconfirmed: rebased, changes, effects }
}

/** Return the transaction that advances the document over `updates`. */
export function receive(state: EditorState, client: string, updates: readonly RemoteUpdate[]): TransactionSpec {
  const { after, changes, effects } = advance(versioned.of(state), client, updates)
  const annotations = [synced.of(after), Transaction.remote.of(true), Transaction.addToHistory.of(false)]
  return { ...(changes && { changes }), effects, annotations, filter: false }
}

export function parseUpdate(update: WireUpdate): RemoteUpdate {
  return { ...update, changes: ChangeSet.fromJSON(update.changes), authors: update.authors ?? [] }
}

export function toWire(update: LocalUpdate): PushedUpdate {
  const changes: unknown = update.changes.toJSON()
  return update.authors.length ? { changes, authors: update.authors } : { changes }
}

export function fromWire(update: PushedUpdate): LocalUpdate {
  return { changes: ChangeSet.fromJSON(update.changes), authors: update.authors ?? [] }
}

/** Return the text that consecutive `updates` insert, with an ellipsis between separate places. */
export function insertedText(updates: readonly LocalUpdate[]): string {
  const [first, ...rest] = updates.map((update) => update.changes)
  const all = first && rest.reduce((sum, next) => sum.compose(next), first)
  const texts: string[] = []
  all?.iterChanges((_fromA, _toA, _fromB, _toB, inserted) => {
    if (inserted.length) texts.push(inserted.toString())
  })
  return texts.join("\n…\n")
}
