/** What the sampling settings make of the model's own next-word probabilities, in the engine's order:
 * temperature, top-k, top-p, min-p. The repetition penalty is left out: it needs the whole context. */

import type { Option, Sampling } from "../sync/protocol.ts"

export type Choice = Pick<Sampling, "temperature" | "top_k" | "top_p" | "min_p">

/** The probability with which each of `options` (raw, by falling probability) is taken, 0 for those left out. Exact where
 * the options are all there is, or nothing is changed; words below the last option can only be estimated. */
export function shaped(options: readonly Option[], { temperature, top_k, top_p, min_p }: Choice): readonly number[] {
  if (temperature === 0) return options.map((_, index) => (index === 0 ? 1 : 0))
  // Divided by the greatest first: a small temperature would otherwise underflow all of them.
  const greatest = options[0]?.probability ?? 1
  const weights = options.map(({ probability }) => (probability / greatest) ** (1 / temperature))
  const unseen = Math.max(0, 1 - sum(options.map(({ probability }) => probability)))
  const among = weights.slice(0, top_k || weights.length)
  const last = options.at(-1)
  // The words nobody sees here are taken to change as the last one seen does.
  const scale = last ? (weights.at(-1) ?? 0) / last.probability : 0
  const below = top_k && top_k <= weights.length ? 0 : unseen * scale
  const total = sum(among) + below
  let mass = 0
  const kept = among.map((weight) => {
    const taken = mass < top_p * total || mass === 0
    mass += weight
    return taken && weight >= min_p ? weight : 0
  })
  const belowToo = min_p === 0 && (top_p === 1 || mass < top_p * total)
  const left = sum(kept) + (belowToo ? below : 0)
  return options.map((_, index) => (kept[index] ?? 0) / left)
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0)
}
