/** Beginnings: the two modes with their examples, and the limits of openings, for the empty desk. */

import type { Mode } from "../sync/protocol.ts"

export interface ModeOffer {
  readonly mode: Mode
  readonly name: string
  readonly placeholder: string
  readonly examples: readonly [string, ...string[]]
}

const CONTINUE: ModeOffer = {
  mode: "continue",
  name: "Continue story",
  placeholder: "Begin a story. The model continues from your last word…",
  examples: [
    "Once upon a time, in a village by the sea, there lived a lighthouse keeper who",
    "The letter had been in the drawer for forty years before anyone thought to",
    "The night train was silent until the lights went out, and then",
  ],
}
const PROMPT: ModeOffer = {
  mode: "prompt",
  name: "Writing prompt",
  placeholder: "Say what the story is about. The model keeps it in mind as it writes…",
  examples: [
    "A dragon applies for a job at the town library.",
    "Every clock in the city stops at the same moment, except one.",
    "Two rival bakers discover that they have been sharing a ghost.",
  ],
}
export const MODES: readonly ModeOffer[] = [CONTINUE, PROMPT]

export function offerOf(mode: Mode): ModeOffer {
  return mode === "prompt" ? PROMPT : CONTINUE
}

/** The most sheets side by side that are wide enough to read. */
export const MOST_SHEETS = 5
/** The default length of an opening in tokens: enough to tell openings apart, and soon written. */
export const OPENING_TOKENS = 20
export const MOST_OPENING_TOKENS = 500

/** Return a length that the server accepts, whatever the field contains. */
export function openingTokens(asked: number | null): number {
  return Math.min(MOST_OPENING_TOKENS, Math.max(1, Math.round(asked || OPENING_TOKENS)))
}
