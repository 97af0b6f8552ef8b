/** Presets: sampling parameters that go well together.
 *
 * A preset changes neither the seed nor the banned words nor the end of the story. */

import type { Sampling } from "../sync/protocol.ts"
import { DEFAULTS } from "./sampling.ts"

type PresetSampling = Omit<typeof DEFAULTS, "seed" | "min_length" | "stop_at_end" | "banned_words">

export interface Preset {
  readonly name: string
  readonly explains: string
  readonly sampling: PresetSampling
}

const { seed: _seed, min_length: _length, stop_at_end: _stop, banned_words: _words, ...STANDARD } = DEFAULTS

export const PRESETS: readonly Preset[] = [
  { name: "Standard", explains: "The settings of a new draft", sampling: STANDARD },
  { name: "Careful", explains: "Keeps to likely words", sampling: { ...STANDARD, temperature: 0.6, top_p: 0.9 } },
  { name: "Wild", explains: "Takes surprising words", sampling: { ...STANDARD, temperature: 1.35, min_p: 0.03 } },
  {
    name: "Fresh",
    explains: "Skips obvious words and avoids loops",
    sampling: { ...STANDARD, temperature: 1, repetition_penalty: 1.05, dry_multiplier: 0.8, xtc_probability: 0.5 },
  },
  {
    name: "Most likely",
    explains: "Always takes the most likely word, so the result is the same every time",
    sampling: { ...STANDARD, temperature: 0, min_p: 0 },
  },
]

/** Whether `sampling` has the preset's values. */
export function isSet(preset: Preset, sampling: Sampling): boolean {
  return Object.entries(preset.sampling).every(
    ([setting, value]) => sampling[setting as keyof PresetSampling] === value,
  )
}
