/** Sampling controls: defaults and off values are within their ranges, and the server accepts the banned words. */

import { describe, expect, test } from "vitest"
import { bannedWords, DEFAULTS, FIRST_CONTROLS, MORE_CONTROLS, uncharted } from "../../src/stores/sampling.ts"
import { Random } from "../simulation/random.ts"

const CONTROLS = [...FIRST_CONTROLS, ...MORE_CONTROLS]
const OFF = Object.fromEntries(CONTROLS.map(({ setting, off }) => [setting, off ?? DEFAULTS[setting]]))

test("every number among the parameters has exactly one control, except the minimum length and the seed", () => {
  const numbers = Object.entries(DEFAULTS).filter(([name, value]) => typeof value === "number" && name !== "min_length")
  expect(CONTROLS.map(({ setting }) => setting).sort()).toEqual(numbers.map(([name]) => name).sort())
})

test("defaults and off values are within the range of their control", () => {
  for (const { setting, low, high, off } of CONTROLS) {
    for (const value of [DEFAULTS[setting], off ?? low]) {
      expect(value, setting).toBeGreaterThanOrEqual(low)
      expect(value, setting).toBeLessThanOrEqual(high)
    }
  }
})

describe("the chart's missing parameters", () => {
  test("are none if all are off", () => {
    expect(uncharted({ ...DEFAULTS, ...OFF, pace: null })).toEqual([])
  })

  test("are the active ones, and banned words", () => {
    const sampling = { ...DEFAULTS, ...OFF, pace: null, presence_penalty: -1, temperature: 2, banned_words: ["dragon"] }
    expect(uncharted(sampling)).toEqual(["new subjects", "banned words"])
  })
})

describe("banned words", () => {
  test("are separated by commas or lines, without spaces around and without repetitions", () => {
    expect(bannedWords(" dragon, old  king ,\n dragon,, lamp\nkeeper ")).toEqual([
      "dragon",
      "old  king",
      "lamp",
      "keeper",
    ])
    expect(bannedWords(" ,\n ")).toEqual([])
  })

  test("are at most 32 of at most 40 units, and stay the same when they are split again", () => {
    const random = new Random(3)
    for (let round = 0; round < 300; round++) {
      const text =
        Array.from({ length: random.below(600) }, () => random.pick([..."aab  ,\n"])).join("") +
        "x".repeat(random.below(90))
      const words = bannedWords(text)
      expect(words.length).toBeLessThanOrEqual(32)
      for (const word of words) expect(word).toMatch(/^\S([^,\n]{0,38}\S)?$/)
      expect(bannedWords(words.join(", "))).toEqual(words)
    }
  })
})
