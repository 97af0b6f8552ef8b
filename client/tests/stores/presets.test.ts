/** Presets: each is recognised, and differs from the others. */

import { expect, test } from "vitest"
import { isSet, PRESETS } from "../../src/stores/presets.ts"
import { DEFAULTS } from "../../src/stores/sampling.ts"
import type { Sampling } from "../../src/sync/protocol.ts"

const NEW_DRAFT: Sampling = { ...DEFAULTS, pace: null }

test("after a preset is chosen, it and no other is recognised", () => {
  for (const chosen of PRESETS) {
    const before = { ...NEW_DRAFT, temperature: 1.7, top_k: 3 }
    const sampling = { ...before, ...chosen.sampling }
    expect(PRESETS.filter((preset) => isSet(preset, sampling))).toEqual([chosen])
  }
})

test("a new draft has the first preset", () => {
  expect(PRESETS.findIndex((preset) => isSet(preset, NEW_DRAFT))).toBe(0)
})

test("a preset keeps the seed, the banned words and the end of the story", () => {
  const own = { seed: 42, banned_words: ["dragon"], stop_at_end: true, min_length: 9, pace: 60 }
  for (const preset of PRESETS) {
    expect({ ...NEW_DRAFT, ...own, ...preset.sampling }).toMatchObject(own)
    expect(isSet(preset, { ...NEW_DRAFT, ...preset.sampling, ...own })).toBe(true)
  }
})

test("one changed value makes a preset unrecognised", () => {
  for (const preset of PRESETS) {
    for (const [setting, value] of Object.entries(preset.sampling)) {
      expect(isSet(preset, { ...NEW_DRAFT, ...preset.sampling, [setting]: value + 0.01 }), setting).toBe(false)
    }
  }
})
