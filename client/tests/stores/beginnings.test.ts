/** Beginnings: each mode has examples, and every length of an opening is one that the server accepts. */

import { expect, test } from "vitest"
import { MODES, MOST_OPENING_TOKENS, offerOf, OPENING_TOKENS, openingTokens } from "../../src/stores/beginnings.ts"

test("each mode has an offer of its own, with examples", () => {
  expect(MODES.map(({ mode }) => mode)).toEqual(["continue", "prompt"])
  for (const offer of MODES) {
    expect(offerOf(offer.mode)).toBe(offer)
    expect(offer.examples.length).toBeGreaterThan(1)
  }
})

test.each([
  [12, 12],
  [12.6, 13],
  [-4, 1],
  [0.2, 1],
  [100_000, MOST_OPENING_TOKENS],
  [0, OPENING_TOKENS],
  [null, OPENING_TOKENS],
  [Number.NaN, OPENING_TOKENS],
])("a length of %s tokens becomes %i", (asked, expected) => {
  expect(openingTokens(asked)).toBe(expected)
})
