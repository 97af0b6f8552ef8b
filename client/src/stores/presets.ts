/** Ready-made voices: settings that go well together. They leave the seed, banned words and how the story ends alone. */

import type { Sampling } from "../sync/protocol.ts"
import { DEFAULTS } from "./sampling.ts"

type Shaping = Omit<typeof DEFAULTS, "seed" | "min_length" | "stop_at_end" | "banned_words">

export interface Preset {
  readonly name: string
  readonly explains: string
  readonly sampling: Shaping
}

const { seed: _seed, min_length: _length, stop_at_end: _stop, banned_words: _words, ...USUAL } = DEFAULTS

export const PRESETS: readonly Preset[] = [
  { name: "Usual", explains: "As a new draft writes", sampling: USUAL },
  { name: "Careful", explains: "Stays with likely words", sampling: { ...USUAL, temperature: 0.6, top_p: 0.9 } },
  { name: "Wild", explains: "Takes what surprises", sampling: { ...USUAL, temperature: 1.35, min_p: 0.03 } },
  {
    name: "Fresh",
    explains: "Passes over the obvious and does not run in circles",
    sampling: { ...USUAL, temperature: 1, repetition_penalty: 1.05, dry_multiplier: 0.8, xtc_probability: 0.5 },
  },
  { name: "Always the likeliest", explains: "No chance at all: the same text every time", sampling: { ...USUAL, temperature: 0, min_p: 0 } },
]

/** Whether these settings are what the preset makes of them. */
export function isSet(preset: Preset, sampling: Sampling): boolean {
  return Object.entries(preset.sampling).every(([setting, value]) => sampling[setting as keyof Shaping] === value)
}
