/** Authorship: the runs equal a model in which every unit carries its author. */

import { ChangeSet, EditorState } from "@codemirror/state"
import { expect, test } from "vitest"
import { authorEffects, authorship } from "../../src/sync/authorship.ts"
import type { AuthorRun } from "../../src/sync/protocol.ts"
import { runsOf } from "../simulation/authority.ts"
import { Random } from "../simulation/random.ts"

const AUTHORS = ["user", "model:A", "model:B"]

function stateOf(units: readonly string[]): EditorState {
  return EditorState.create({ doc: "x".repeat(units.length), extensions: authorship.from(runsOf(units)) })
}

/** One to three changes at rising places, as CodeMirror's specification of them. */
function randomChanges(random: Random, length: number): { from: number; to: number; insert: string }[] {
  const specs = []
  for (let at = random.below(4); at <= length && specs.length < 3;) {
    const to = Math.min(length, at + random.below(5))
    specs.push({ from: at, to, insert: "y".repeat(random.below(4)) })
    at = to + 1 + random.below(6)
  }
  return specs
}

function apply(units: readonly string[], changes: ChangeSet, authors: readonly string[]): string[] {
  const after: string[] = []
  let at = 0
  let used = 0
  changes.iterChanges((from, to, _fromB, _toB, inserted) => {
    after.push(...units.slice(at, from), ...authors.slice(used, (used += inserted.length)))
    at = to
  }, true)
  return after.concat(units.slice(at))
}

test("every unit keeps its author through edits and updates", () => {
  const random = new Random(17)
  for (let round = 0; round < 300; round++) {
    let units = Array.from({ length: random.below(20) }, () => random.pick(AUTHORS))
    let state = stateOf(units)
    expect(authorship.runs(state)).toEqual(runsOf(units))
    for (let step = 0; step < 12; step++) {
      const changes = ChangeSet.of(randomChanges(random, units.length), units.length)
      let inserted = 0
      changes.iterChanges((_fromA, _toA, fromB, toB) => (inserted += toB - fromB))
      const author = random.pick(AUTHORS)
      const mixed = Array.from({ length: inserted }, () => random.pick(AUTHORS))
      const [effects, authors] = random.pick([
        // The user types; a model writes; another page undoes a deletion of mixed text.
        [[], mixed.map(() => "user")],
        [authorEffects(changes, author, []), mixed.map(() => author)],
        [authorEffects(changes, "user", runsOf(mixed)), mixed],
      ] as const)
      state = state.update({ changes, effects }).state
      units = apply(units, changes, authors)
      expect(authorship.runs(state)).toEqual(runsOf(units))
    }
    const from = random.below(units.length + 1)
    const to = from + random.below(units.length - from + 1)
    expect(authorship.runs(state, from, to)).toEqual(runsOf(units.slice(from, to)))
  }
})

test("text at the edge of model text is its own author's", () => {
  let state = stateOf(["user", "model:A", "model:A", "user"])
  state = state.update({
    changes: [
      { from: 1, insert: "before" },
      { from: 3, insert: "after" },
    ],
  }).state
  const runs: readonly AuthorRun[] = authorship.runs(state)
  expect(runs).toEqual([
    [7, "user"],
    [2, "model:A"],
    [6, "user"],
  ])
})
