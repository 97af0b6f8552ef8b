/** Change splitting: the parts together equal the whole change, and each is within its bounds. */

import { ChangeSet, Text } from "@codemirror/state"
import { expect, test } from "vitest"
import { splitChanges } from "../../src/sync/split-changes.ts"
import { Random } from "../simulation/random.ts"

test.each(Array.from({ length: 300 }, (_, seed) => seed))("parts do the same as the whole (seed %i)", (seed) => {
  const random = new Random(seed)
  const text = "0123456789".repeat(1 + random.below(4))
  const changes = randomChanges(random, text.length)
  const limit = 2 + random.below(9)
  const places = 1 + random.below(6)
  const doc = Text.of([text])
  let after = doc
  for (const part of splitChanges(changes, limit, places)) {
    let changed = 0
    part.iterChanges((_fromA, _toA, _fromB, _toB, inserted) => {
      changed++
      expect(inserted.toString()).not.toMatch(/^[\udc00-\udfff]|[\ud800-\udbff]$/)
    })
    expect(changed).toBeLessThanOrEqual(places)
    expect(insertedLength(part)).toBeLessThanOrEqual(limit)
    after = part.apply(after)
  }
  expect(after.toString()).toBe(changes.apply(doc).toString())
})

function randomChanges(random: Random, length: number): ChangeSet {
  const specs = []
  for (let at = 0; at < length; at += 1 + random.below(12)) {
    const to = Math.min(length, at + random.below(4))
    specs.push({
      from: at,
      to,
      insert: random.pick(["", "a", "x\ny", "🐉".repeat(random.below(8)), "b🌲c\n\n".repeat(3)]),
    })
    at = to
  }
  return ChangeSet.of(specs, length)
}

function insertedLength(changes: ChangeSet): number {
  let length = 0
  changes.iterChanges((_fromA, _toA, fromB, toB) => (length += toB - fromB))
  return length
}
