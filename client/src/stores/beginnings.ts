/** What the empty desk offers: the two modes with beginnings to try, and how many openings of what length. */

import type { Mode } from "../sync/protocol.ts"

export interface ModeOffer {
  readonly mode: Mode
  readonly name: string
  readonly asks: string
  readonly tries: readonly [string, ...string[]]
}

const CONTINUE: ModeOffer = {
  mode: "continue",
  name: "Continue story",
  asks: "Begin a story. The model goes on from your last word…",
  tries: [
    "Once upon a time, in a village by the sea, there lived a lighthouse keeper who",
    "The letter had been in the drawer for forty years before anyone thought to",
    "Nobody on the night train spoke until the lights went out, and then",
  ],
}
const PROMPT: ModeOffer = {
  mode: "prompt",
  name: "Writing prompt",
  asks: "Say what the story is about. The model keeps it in mind for as long as it writes…",
  tries: [
    "A dragon applies for a job at the town library.",
    "Every clock in the city stops at the same moment, except one.",
    "Two rival bakers discover that they have been sharing a ghost.",
  ],
}
export const MODES: readonly ModeOffer[] = [CONTINUE, PROMPT]

export function offerOf(mode: Mode): ModeOffer {
  return mode === "prompt" ? PROMPT : CONTINUE
}

/** More sheets side by side than this are too narrow to read. */
export const MOST_SHEETS = 5
/** Tokens of an opening, unless the person says otherwise: enough to tell them apart, and soon there. */
export const OPENING_TOKENS = 20
export const MOST_OPENING_TOKENS = 500

/** A length that the server takes, whatever stands in the field. */
export function openingTokens(asked: number | null): number {
  return Math.min(MOST_OPENING_TOKENS, Math.max(1, Math.round(asked || OPENING_TOKENS)))
}
