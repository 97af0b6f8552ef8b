/** Sampling controls: the name, explanation and range of each sampling parameter, and the defaults.
 *
 * Ranges and defaults are the server's. */

import type { Sampling } from "../sync/protocol.ts"

type NumberSetting = Exclude<
  { [K in keyof Sampling]: Sampling[K] extends number ? K : never }[keyof Sampling],
  "min_length"
>

export interface SamplingControl {
  readonly setting: NumberSetting
  readonly label: string
  readonly explains: string
  readonly low: number
  readonly high: number
  readonly step: number
  /** The value at which the setting does nothing. */
  readonly off?: number
  /** Whether the chart of the next word leaves this parameter out. */
  readonly uncharted?: boolean
}

export type SamplingChange = Partial<Sampling>

/** The sampling parameters of a new draft. */
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
    explains:
      "Temperature: low values are predictable, high values surprising. At 0 the most likely word is always taken.",
    low: 0,
    high: 2,
    step: 0.05,
  },
  {
    setting: "min_p",
    label: "Leave out unlikely words",
    explains: "Min-p: leaves out words less likely than this share of the most likely word.",
    low: 0,
    high: 1,
    step: 0.01,
    off: 0,
  },
  {
    setting: "repetition_penalty",
    label: "Avoid repetition",
    explains: "Repetition penalty: makes words that are already in the text less likely.",
    low: 1,
    high: 2,
    step: 0.01,
    off: 1,
    uncharted: true,
  },
]

export const MORE_CONTROLS: readonly SamplingControl[] = [
  {
    setting: "top_p",
    label: "Keep likely words",
    explains: "Top-p: keeps the most likely words that together have this probability.",
    low: 0,
    high: 1,
    step: 0.01,
    off: 1,
  },
  {
    setting: "top_k",
    label: "Number of words",
    explains: "Top-k: keeps only this many of the most likely words.",
    low: 0,
    high: 1000,
    step: 1,
    off: 0,
  },
  {
    setting: "typical_p",
    label: "Keep typical words",
    explains: "Typical-p: keeps words that are about as surprising as expected at this place.",
    low: 0,
    high: 1,
    step: 0.01,
    off: 1,
    uncharted: true,
  },
  {
    setting: "presence_penalty",
    label: "New subjects",
    explains: "Presence penalty: above 0, words that are in the text are less likely; below 0, more likely.",
    low: -2,
    high: 2,
    step: 0.05,
    off: 0,
    uncharted: true,
  },
  {
    setting: "frequency_penalty",
    label: "Fewer favourite words",
    explains:
      "Frequency penalty: above 0, a word is less likely the more often it is in the text; below 0, more likely.",
    low: -2,
    high: 2,
    step: 0.05,
    off: 0,
    uncharted: true,
  },
  {
    setting: "penalty_range",
    label: "Range of the penalties",
    explains: "The number of latest tokens that the three penalties count.",
    low: 0,
    high: 4096,
    step: 16,
  },
  {
    setting: "dry_multiplier",
    label: "Avoid loops",
    explains: "DRY: makes tokens that extend a repeated passage less likely, and more so the longer it is.",
    low: 0,
    high: 5,
    step: 0.05,
    off: 0,
    uncharted: true,
  },
  {
    setting: "dry_base",
    label: "Loops: growth",
    explains: "DRY base: the factor by which the penalty grows with each token.",
    low: 1,
    high: 4,
    step: 0.05,
  },
  {
    setting: "dry_allowed_length",
    label: "Loops: allowed length",
    explains: "DRY allowed length: the number of repeated tokens from which the penalty applies.",
    low: 1,
    high: 20,
    step: 1,
  },
  {
    setting: "no_repeat_ngram",
    label: "Never repeat a phrase",
    explains: "No-repeat n-gram: a sequence of this many tokens never occurs twice.",
    low: 0,
    high: 20,
    step: 1,
    off: 0,
    uncharted: true,
  },
  {
    setting: "xtc_probability",
    label: "Skip obvious words",
    explains: "XTC probability: how often the most likely words are skipped.",
    low: 0,
    high: 1,
    step: 0.01,
    off: 0,
    uncharted: true,
  },
  {
    setting: "xtc_threshold",
    label: "Obvious words: from",
    explains: "XTC threshold: the probability from which a word counts as obvious.",
    low: 0,
    high: 0.5,
    step: 0.01,
  },
]

/** Return the labels of the active parameters that the chart of the next word leaves out. */
export function uncharted(sampling: Sampling): string[] {
  const names = [...FIRST_CONTROLS, ...MORE_CONTROLS]
    .filter((control) => control.uncharted && sampling[control.setting] !== control.off)
    .map(({ label }) => label.toLowerCase())
  return sampling.banned_words.length ? [...names, "banned words"] : names
}

export const SEED_HIGH = Number.MAX_SAFE_INTEGER
export const MIN_LENGTH_HIGH = 2 ** 31 - 1

/** Split `text` at commas and line breaks into words or phrases, no more and no longer than the server accepts. */
export function bannedWords(text: string): string[] {
  const words = text.split(/[,\n]/).map((word) => word.trim().slice(0, 40).trim())
  return [...new Set(words.filter(Boolean))].slice(0, 32)
}
