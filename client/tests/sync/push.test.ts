/** Push rules: a push is bounded in updates and characters, and final refusals are told from temporary ones. */

import { describe, expect, it, test } from "vitest"
import { isHopeless, pushCount, randomId } from "../../src/sync/push.ts"

const letter = { changes: [5, [0, "a"]] }
const page = { changes: [[0, "a".repeat(30_000)]] }

describe("a push", () => {
  it("holds all of a few updates", () => {
    expect(pushCount([letter, letter, letter])).toBe(3)
    expect(pushCount([])).toBe(0)
  })

  it("holds a bounded number of single letters", () => {
    expect(pushCount(Array.from({ length: 5_000 }, () => letter))).toBe(200)
  })

  it("holds the large updates that fit, and at least one", () => {
    expect(pushCount([page, page, page])).toBe(1)
    expect(pushCount([letter, page, page])).toBe(2)
    expect(pushCount([{ changes: [[0, "a".repeat(100_000)]] }, letter])).toBe(1)
  })
})

test("a refusal is final only if the same push would be refused again", () => {
  const codes = [
    "invalid",
    "behind",
    "too_large",
    "unknown_draft",
    "busy",
    "rate_limited",
    "storage",
    "engine_down",
  ] as const
  expect(codes.filter(isHopeless)).toEqual(["invalid", "behind", "too_large", "unknown_draft"])
})

test("random ids have 32 hexadecimal digits and differ", () => {
  const ids = Array.from({ length: 200 }, randomId)
  for (const id of ids) expect(id).toMatch(/^[0-9a-f]{32}$/)
  expect(new Set(ids).size).toBe(ids.length)
})
