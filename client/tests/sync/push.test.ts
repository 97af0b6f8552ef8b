import { describe, expect, it } from "vitest"
import { pushCount } from "../../src/sync/push.ts"

const letter = { changes: [5, [0, "a"]] }
const page = { changes: [[0, "a".repeat(30_000)]] }

describe("a push", () => {
  it("takes all of a few updates", () => {
    expect(pushCount([letter, letter, letter])).toBe(3)
    expect(pushCount([])).toBe(0)
  })

  it("takes a bounded number of an hour's single letters", () => {
    expect(pushCount(Array.from({ length: 5_000 }, () => letter))).toBe(200)
  })

  it("takes what fits of large updates, and at least one", () => {
    expect(pushCount([page, page, page])).toBe(1)
    expect(pushCount([{ changes: [[0, "a".repeat(100_000)]] }, letter])).toBe(1)
  })
})
