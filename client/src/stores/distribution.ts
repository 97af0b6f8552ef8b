/** Next-word distribution: the probabilities after sampling, computed from the model's own probabilities.
 *
 * Applies temperature, top-k, top-p and min-p in the engine's order. The repetition penalty is left out, because it
 * needs the whole context. */

import type { Option, Sampling } from "../sync/protocol.ts"

export type Choice = Pick<Sampling, "temperature" | "top_k" | "top_p" | "min_p">

/** Return the probability with which each of `options` is sampled; 0 for an excluded option.
 *
 * `options` hold raw probabilities in descending order. The result is exact if they are all words, or if the settings
 * change no probability; otherwise the words that are not in `options` are estimated. */
export function shaped(options: readonly Option[], { temperature, top_k, top_p, min_p }: Choice): readonly number[] {
  if (temperature === 0) return options.map((_, index) => (index === 0 ? 1 : 0))
  // Divide by the greatest first: with a low temperature every weight would otherwise underflow.
  const greatest = options[0]?.probability ?? 1
  const weights = options.map(({ probability }) => (probability / greatest) ** (1 / temperature))
  const unseen = Math.max(0, 1 - sum(options.map(({ probability }) => probability)))
  const among = weights.slice(0, top_k || weights.length)
  const last = options.at(-1)
  // Words that are not in `options` are assumed to change by the same factor as the last option.
  const scale = last ? (weights.at(-1) ?? 0) / last.probability : 0
  const below = top_k && top_k <= weights.length ? 0 : unseen * scale
  const total = sum(among) + below
  let mass = 0
  const kept = among.map((weight) => {
    const taken = mass < top_p * total || mass === 0
    mass += weight
    return taken && weight >= min_p ? weight : 0
  })
  const keepsBelow = min_p === 0 && (top_p === 1 || mass < top_p * total)
  const keptTotal = sum(kept) + (keepsBelow ? below : 0)
  return options.map((_, index) => (kept[index] ?? 0) / keptTotal)
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0)
}
