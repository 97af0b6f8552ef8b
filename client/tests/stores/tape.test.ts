/** Tape: the strokes cover the whole text in order, and show every run of the user, however short. */

import { expect, test } from "vitest"
import { strokeAt, strokesOf } from "../../src/stores/tape.ts"
import type { AuthorRun } from "../../src/sync/protocol.ts"
import { Random } from "../simulation/random.ts"

test("strokes cover the text, and a stroke with any text of the user is the user's", () => {
  const chance = new Random(7)
  const next = () => chance.below(1_000_000) / 1_000_000
  for (let round = 0; round < 200; round++) {
    const runs: AuthorRun[] = Array.from({ length: 1 + Math.floor(next() * 30) }, (_, index) => [
      1 + Math.floor(next() ** 3 * 400),
      index % 2 ? "user" : "model:A",
    ])
    const total = runs.reduce((sum, [length]) => sum + length, 0)
    const most = 1 + Math.floor(next() * 60)
    const strokes = strokesOf(runs, most)
    expect(strokes.length).toBeLessThanOrEqual(most)
    let at = 0
    for (const { from, length, author, at: start } of strokes) {
      expect(from).toBe(at)
      const authors = Array.from({ length }, (_, offset) => authorAt(runs, from + offset))
      expect(author).toBe(authors.includes("user") ? "user" : "model:A")
      expect(start).toBe(from + authors.indexOf(author))
      at += length
    }
    expect(at).toBe(total)
  }
})

test("every share of the tape has a stroke, except its end", () => {
  const strokes = strokesOf([[100, "user"]], 2)
  expect([-1, 0, 0.49, 0.5, 0.99].map((share) => strokeAt(strokes, share)?.from)).toEqual([0, 0, 0, 50, 50])
  expect(strokeAt(strokes, 1)).toBeUndefined()
  expect(strokeAt([], 0)).toBeUndefined()
})

test("an empty text has an empty tape", () => expect(strokesOf([], 50)).toEqual([]))

function authorAt(runs: readonly AuthorRun[], at: number): string {
  for (const [length, author] of runs) {
    if (at < length) return author
    at -= length
  }
  throw new Error("past the end")
}
