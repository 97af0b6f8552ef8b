/** The sampling controls: names in plain words, ranges, defaults, and which value turns one off. Ranges and defaults are the server's. */

import type { Sampling } from "../sync/protocol.ts"

type NumberSetting = Exclude<{ [K in keyof Sampling]: Sampling[K] extends number ? K : never }[keyof Sampling], "min_length">

export interface SamplingControl {
  readonly setting: NumberSetting
  readonly label: string
  readonly explains: string
  readonly low: number
  readonly high: number
  readonly step: number
  /** The value at which the setting does nothing. */
  readonly off?: number
  /** Whether the next word's drawing leaves it out. */
  readonly undrawn?: boolean
}

export type SamplingChange = Partial<Sampling>

/** What a new draft has. */
export const DEFAULTS: Omit<Sampling, "pace"> = {
  temperature: 0.9,
  top_k: 0,
  top_p: 1,
  min_p: 0.05,
  typical_p: 1,
  repetition_penalty: 1.1,
  presence_penalty: 0,
  frequency_penalty: 0,
  penalty_range: 256,
  dry_multiplier: 0.8,
  dry_base: 1.75,
  dry_allowed_length: 2,
  xtc_probability: 0,
  xtc_threshold: 0.1,
  no_repeat_ngram: 0,
  banned_words: [],
  seed: null,
  min_length: 0,
  stop_at_end: false,
}

export const FIRST_CONTROLS: readonly SamplingControl[] = [
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
    setting: "repetition_penalty",
    label: "Avoid repeating",
    explains: "Repetition penalty: makes words that stand in the text less likely.",
    low: 1,
    high: 2,
    step: 0.01,
    off: 1,
    undrawn: true,
  },
]

export const MORE_CONTROLS: readonly SamplingControl[] = [
  {
    setting: "top_p",
    label: "Keep the likely part",
    explains: "Top-p: keeps the likeliest words that make up this share together.",
    low: 0,
    high: 1,
    step: 0.01,
    off: 1,
  },
  { setting: "top_k", label: "Choose among", explains: "Top-k: considers only this many likeliest words.", low: 0, high: 1000, step: 1, off: 0 },
  {
    setting: "typical_p",
    label: "Keep the typical",
    explains: "Typical-p: keeps words that surprise about as much as one expects there.",
    low: 0,
    high: 1,
    step: 0.01,
    off: 1,
    undrawn: true,
  },
  {
    setting: "presence_penalty",
    label: "New subjects",
    explains: "Presence penalty: above 0, words that stand in the text once are less likely; below, likelier.",
    low: -2,
    high: 2,
    step: 0.05,
    off: 0,
    undrawn: true,
  },
  {
    setting: "frequency_penalty",
    label: "Fewer favourite words",
    explains: "Frequency penalty: the more often a word stands in the text, the less likely it is.",
    low: -2,
    high: 2,
    step: 0.05,
    off: 0,
    undrawn: true,
  },
  {
    setting: "penalty_range",
    label: "How far it looks back",
    explains: "Tokens that the three penalties count.",
    low: 0,
    high: 4096,
    step: 16,
  },
  {
    setting: "dry_multiplier",
    label: "Don't run in circles",
    explains: "DRY: what would prolong a repetition gets less likely, the longer it is.",
    low: 0,
    high: 5,
    step: 0.05,
    off: 0,
    undrawn: true,
  },
  { setting: "dry_base", label: "Circles: growth", explains: "DRY base: by how much more for each token.", low: 1, high: 4, step: 0.05 },
  {
    setting: "dry_allowed_length",
    label: "Circles: allowed",
    explains: "DRY allowed length: tokens in a row that may come again.",
    low: 1,
    high: 20,
    step: 1,
  },
  {
    setting: "no_repeat_ngram",
    label: "Never twice the same",
    explains: "No-repeat n-gram: so many tokens in a row never come a second time.",
    low: 0,
    high: 20,
    step: 1,
    off: 0,
    undrawn: true,
  },
  {
    setting: "xtc_probability",
    label: "Avoid the obvious",
    explains: "XTC probability: how often the likeliest words are passed over.",
    low: 0,
    high: 1,
    step: 0.01,
    off: 0,
    undrawn: true,
  },
  {
    setting: "xtc_threshold",
    label: "Obvious from",
    explains: "XTC threshold: the probability from which on a word counts as obvious.",
    low: 0,
    high: 0.5,
    step: 0.01,
  },
]

/** Names of the settings in force that the drawing of the next word does not show. */
export function undrawn(sampling: Sampling): string[] {
  const names = [...FIRST_CONTROLS, ...MORE_CONTROLS]
    .filter((control) => control.undrawn && sampling[control.setting] !== control.off)
    .map(({ label }) => label.toLowerCase())
  return sampling.banned_words.length ? [...names, "banned words"] : names
}

export const SEED_HIGH = Number.MAX_SAFE_INTEGER
export const MIN_LENGTH_HIGH = 2 ** 31 - 1

/** Words or phrases, as a person separates them by commas; no more and no longer than the server takes. */
export function bannedWords(text: string): string[] {
  const words = text.split(/[,\n]/).map((word) => word.trim().slice(0, 40).trim())
  return [...new Set(words.filter(Boolean))].slice(0, 32)
}
