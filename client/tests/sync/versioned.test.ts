/** Versioned document: rebasing gives the vectors' results in any batches, and large changes are split. */

import { readFileSync } from "node:fs"
import { ChangeSet, EditorState, Text } from "@codemirror/state"
import { describe, expect, test } from "vitest"
import { authorship } from "../../src/sync/authorship.ts"
import {
  advance,
  fromWire,
  insertedText,
  type LocalUpdate,
  parseUpdate,
  receive,
  type RemoteUpdate,
  toWire,
  UPDATE_UNITS,
  type Versioned,
  versioned,
} from "../../src/sync/versioned.ts"

type WrittenUpdate = readonly [client: string, changes: unknown]

interface Rebase {
  readonly text: string
  readonly updates: readonly WrittenUpdate[]
  readonly over: readonly WrittenUpdate[]
  readonly rebased: readonly WrittenUpdate[]
  readonly result: string
}

const file = new URL("../../../tests/vectors/changes.json", import.meta.url)
const { rebases } = JSON.parse(readFileSync(file, "utf8")) as { rebases: readonly Rebase[] }

const local = ([, changes]: WrittenUpdate): LocalUpdate => ({ changes: ChangeSet.fromJSON(changes), authors: [] })
const remote = ([client, changes]: WrittenUpdate): RemoteUpdate => ({
  ...local([client, changes]),
  client,
  author: "user",
})
const textOf = (text: string) => Text.of(text.split("\n"))

function stateOf(text: string): EditorState {
  return EditorState.create({ doc: text, extensions: [versioned.at(0), authorship.from([[text.length, "user"]])] })
}

describe("unconfirmed updates", () => {
  test("are rebased to the results in the vectors", () => {
    expect(rebases.length).toBeGreaterThan(100)
    for (const { text, updates, over, rebased, result } of rebases) {
      const unconfirmed = updates.map(local)
      const { after, changes } = advance({ revision: 7, unconfirmed, made: 9 }, "me", over.map(remote))
      expect(after.unconfirmed.map(({ changes }) => changes.toJSON() as unknown)).toEqual(
        rebased.map(([, json]) => json),
      )
      expect([after.revision, after.made]).toEqual([7 + over.length, 9])
      const typed = unconfirmed.reduce((doc, update) => update.changes.apply(doc), textOf(text))
      expect((changes?.apply(typed) ?? typed).toString()).toBe(result)
    }
  })

  test("are the same, however the server's updates are batched", () => {
    for (const { updates, over } of rebases) {
      const before = { revision: 0, unconfirmed: updates.map(local), made: 0 }
      const atOnce = advance(before, "me", over.map(remote))
      let singly: Versioned = before
      for (const update of over) singly = advance(singly, "me", [remote(update)]).after
      expect(singly.revision).toBe(atOnce.after.revision)
      expect(singly.unconfirmed.map(({ changes }) => changes.toJSON() as unknown)).toEqual(
        atOnce.after.unconfirmed.map(({ changes }) => changes.toJSON() as unknown),
      )
    }
  })
})

describe("a document", () => {
  test("counts the user's changes, and not the server's", () => {
    let state = stateOf("ab")
    state = state.update({ changes: { from: 2, insert: "c" } }).state
    state = state.update({ changes: { from: 3, insert: "d" } }).state
    expect(versioned.of(state)).toMatchObject({ revision: 0, made: 2 })
    const changes = ChangeSet.of({ from: 0, insert: "model " }, 2).toJSON() as unknown
    state = state.update(receive(state, "me", [parseUpdate({ client: "model", author: "model:Tiny", changes })])).state
    expect(state.doc.toString()).toBe("model abcd")
    expect(versioned.of(state)).toMatchObject({ revision: 1, made: 2 })
    expect(versioned.of(state).unconfirmed.length).toBe(2)
    expect(authorship.runs(state)).toEqual([
      [6, "model:Tiny"],
      [4, "user"],
    ])
  })

  test("is confirmed by its own updates, which change no text", () => {
    let state = stateOf("ab")
    state = state.update({ changes: { from: 2, insert: "c" } }).state
    const [update] = versioned.of(state).unconfirmed.map(toWire)
    state = state.update(
      receive(state, "me", [parseUpdate({ client: "me", author: "user", changes: update?.changes })]),
    ).state
    expect(state.doc.toString()).toBe("abc")
    expect(versioned.of(state)).toEqual({ revision: 1, unconfirmed: [], made: 1 })
  })

  test("splits a large paste into updates that insert it in order", () => {
    const paste = "Grüße, 🐉!\n".repeat(9_000)
    const state = stateOf("ab").update({ changes: { from: 1, insert: textOf(paste) } }).state
    const { unconfirmed, made } = versioned.of(state)
    expect(made).toBe(Math.ceil(paste.length / UPDATE_UNITS))
    expect(unconfirmed.length).toBe(made)
    for (const { changes } of unconfirmed) expect(changes.newLength - changes.length).toBeLessThanOrEqual(UPDATE_UNITS)
    expect(unconfirmed.reduce((doc, { changes }) => changes.apply(doc), textOf("ab")).toString()).toBe(`a${paste}b`)
  })
})

test("an update is the same after the journal or the network has carried it", () => {
  const changes = ChangeSet.of({ from: 1, to: 2, insert: "x\ny" }, 3)
  const authors = [[3, "model:Tiny"]] as const
  for (const update of [
    { changes, authors: [] },
    { changes, authors },
  ]) {
    const carried = fromWire(JSON.parse(JSON.stringify(toWire(update))) as ReturnType<typeof toWire>)
    expect(carried.changes.toJSON()).toEqual(changes.toJSON())
    expect(carried.authors).toEqual(update.authors)
  }
})

test("the inserted text of several updates is one text for each place", () => {
  const first = ChangeSet.of(
    [
      { from: 0, insert: "Once" },
      { from: 4, insert: "end" },
    ],
    4,
  )
  const second = ChangeSet.of(
    [
      { from: 4, insert: " upon" },
      { from: 6, to: 7 },
    ],
    first.newLength,
  )
  expect(insertedText([first, second].map((changes) => ({ changes, authors: [] })))).toBe("Once upon\n…\nend")
  expect(insertedText([])).toBe("")
})
