/** The document's revision and the user's updates the server has not confirmed yet.
 *
 * The algebra is that of `@codemirror/collab`; it is our own because one large paste or undo must travel as several
 * updates, each confirmed by itself, and because updates carry authors. Knows nothing of sockets or journals. */

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

/** Inserted units per update. Below 256 KiB even where every unit becomes a six-byte escape. */
export const UPDATE_UNITS = 32_768
/** Places one update changes: *replace all* in a long text is some updates. The server takes 20,000 in one event. */
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
  /** The server's revision that this document holds, apart from `unconfirmed`. */
  readonly revision: number
  readonly unconfirmed: readonly LocalUpdate[]
  /** How many local updates there have been, confirmed ones included. */
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
  /** The extension, for a document that is at `revision`; `made` goes on counting over a new snapshot. */
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
  let room = at
  for (const [length, author] of runs) {
    const here = Math.min(room, length)
    if (here > 0) before.push([here, author])
    if (length > here) after.push([length - here, author])
    room -= here
  }
  return [before, after]
}

/** What receiving updates comes to: the new bookkeeping, and what it does to the document. */
interface Received {
  readonly after: Versioned
  readonly changes: ChangeSet | null
  readonly effects: readonly StateEffect<unknown>[]
}

/** Takes `before` over `updates`, which follow its revision without a gap. Updates of `client` confirm the oldest
 * unconfirmed ones; over each of the others the unconfirmed ones are rebased, one by one: mapping over several
 * composed into one can come out differently, and then this text would depend on how the updates were batched. */
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

/** Swaps the unconfirmed updates and one of another writer: afterwards his comes first. */
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

/** The transaction that takes the document over `updates`. */
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

/** What `updates`, which follow one another, insert in all; separate places are set apart by an ellipsis. */
export function insertedText(updates: readonly LocalUpdate[]): string {
  const [first, ...rest] = updates.map((update) => update.changes)
  const all = first && rest.reduce((sum, next) => sum.compose(next), first)
  const texts: string[] = []
  all?.iterChanges((_fromA, _toA, _fromB, _toB, inserted) => {
    if (inserted.length) texts.push(inserted.toString())
  })
  return texts.join("\n…\n")
}
