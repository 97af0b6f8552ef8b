/** The sampling controls: names in plain words, ranges, and which value turns one off. Ranges are the server's. */

import type { Sampling } from "../sync/protocol.ts"

type NumberSetting = "temperature" | "top_k" | "top_p" | "min_p" | "repetition_penalty"

export interface SamplingControl {
  readonly setting: NumberSetting
  readonly label: string
  readonly explains: string
  readonly low: number
  readonly high: number
  readonly step: number
  /** The value at which the setting does nothing. */
  readonly off?: number
}

export const SAMPLING_CONTROLS: readonly SamplingControl[] = [
  {
    setting: "temperature",
    label: "Daring",
    explains: "Temperature: low is predictable, high is surprising. At 0 it always takes the likeliest word.",
    low: 0,
    high: 2,
    step: 0.05,
  },
  {
    setting: "min_p",
    label: "Leave out the unlikely",
    explains: "Min-p: drops words less likely than this share of the likeliest.",
    low: 0,
    high: 1,
    step: 0.01,
    off: 0,
  },
  {
    setting: "top_p",
    label: "Keep the likely part",
    explains: "Top-p: keeps the likeliest words that make up this share together.",
    low: 0,
    high: 1,
    step: 0.01,
    off: 1,
  },
  {
    setting: "top_k",
    label: "Choose among",
    explains: "Top-k: considers only this many likeliest words.",
    low: 0,
    high: 1000,
    step: 1,
    off: 0,
  },
  {
    setting: "repetition_penalty",
    label: "Avoid repeating",
    explains: "Repetition penalty: makes words that stand in the text less likely.",
    low: 1,
    high: 2,
    step: 0.01,
    off: 1,
  },
]

export const SEED_HIGH = Number.MAX_SAFE_INTEGER
export const MIN_LENGTH_HIGH = 2 ** 31 - 1

export type SamplingChange = Partial<Sampling>
