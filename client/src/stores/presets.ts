/** Ready-made voices: settings that go well together. The usual one is what a new draft has. */

import type { Sampling } from "../sync/protocol.ts"

type Shaping = Pick<Sampling, "temperature" | "top_k" | "top_p" | "min_p" | "repetition_penalty">

export interface Preset {
  readonly name: string
  readonly explains: string
  readonly sampling: Shaping
}

const USUAL: Shaping = { temperature: 0.9, top_k: 0, top_p: 1, min_p: 0.05, repetition_penalty: 1.1 }

export const PRESETS: readonly Preset[] = [
  { name: "Usual", explains: "Back to how a new draft writes", sampling: USUAL },
  { name: "Careful", explains: "Stays with likely words", sampling: { ...USUAL, temperature: 0.6, top_p: 0.9 } },
  { name: "Wild", explains: "Takes what surprises", sampling: { ...USUAL, temperature: 1.35, min_p: 0.03 } },
  { name: "Always the likeliest", explains: "No chance at all: the same text every time", sampling: { ...USUAL, temperature: 0, min_p: 0 } },
]
