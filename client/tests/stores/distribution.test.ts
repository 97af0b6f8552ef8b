/** The shaped distribution equals one computed from logits by the engine's rules, where the options are all there is. */

import { expect, test } from "vitest"
import { type Choice, shaped } from "../../src/stores/distribution.ts"
import { Random } from "../simulation/random.ts"

const OFF: Choice = { temperature: 1, top_k: 0, top_p: 1, min_p: 0 }

/** The engine's order over log-weights, falling. */
function byLogits(logits: readonly number[], { temperature, top_k, top_p, min_p }: Choice): number[] {
  const peak = Math.max(...logits)
  let kept = logits.map((logit) => Math.exp((logit - peak) / temperature))
  if (top_k) kept = kept.map((weight, index) => (index < top_k ? weight : 0))
  const total = kept.reduce((sum, weight) => sum + weight, 0)
  let before = 0
  kept = kept.map((weight) => {
    const stays = before === 0 || before / total < top_p
    before += weight
    return stays ? weight : 0
  })
  kept = kept.map((weight) => (weight >= min_p ? weight : 0))
  const left = kept.reduce((sum, weight) => sum + weight, 0)
  return kept.map((weight) => weight / left)
}

test("as the engine has it", () => {
  const chance = new Random(11)
  const next = () => chance.below(1_000_000) / 1_000_000
  for (let round = 0; round < 1_000; round++) {
    const logits = Array.from({ length: 8 }, () => next() * 6).sort((a, b) => b - a)
    const total = logits.reduce((sum, logit) => sum + Math.exp(logit), 0)
    const options = logits.map((logit, index) => ({ text: `w${index}`, probability: Math.exp(logit) / total }))
    const choice = { temperature: 0.2 + next() * 1.8, top_k: Math.floor(next() * 9), top_p: 0.05 + next() * 0.94, min_p: next() * 0.5 }
    const expected = byLogits(logits, choice)
    shaped(options, choice).forEach((share, index) => expect(share).toBeCloseTo(expected[index] ?? NaN, 8))
  }
})

test("with everything off it is the model's own, also when words are unseen", () => {
  const options = [0.5, 0.2, 0.1].map((probability, index) => ({ text: `w${index}`, probability }))
  shaped(options, OFF).forEach((share, index) => expect(share).toBeCloseTo(options[index]?.probability ?? NaN, 12))
})

test("without chance the likeliest takes all", () => {
  expect(shaped([{ text: "a", probability: 0.4 }, { text: "b", probability: 0.3 }], { ...OFF, temperature: 0 })).toEqual([1, 0])
})
