/** Next-word distribution: equals the engine's rules computed from logits, if the options are all words. */

import { expect, test } from "vitest"
import { type Choice, shaped } from "../../src/stores/distribution.ts"
import { Random } from "../simulation/random.ts"

const OFF: Choice = { temperature: 1, top_k: 0, top_p: 1, min_p: 0 }

/** Apply the engine's rules to log-weights in descending order. */
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

test("probabilities equal the engine's", () => {
  const chance = new Random(11)
  const next = () => chance.below(1_000_000) / 1_000_000
  for (let round = 0; round < 1_000; round++) {
    const logits = Array.from({ length: 8 }, () => next() * 6).sort((a, b) => b - a)
    const total = logits.reduce((sum, logit) => sum + Math.exp(logit), 0)
    const options = logits.map((logit, index) => ({ text: `w${index}`, probability: Math.exp(logit) / total }))
    const choice = {
      temperature: 0.2 + next() * 1.8,
      top_k: Math.floor(next() * 9),
      top_p: 0.05 + next() * 0.94,
      min_p: next() * 0.5,
    }
    const expected = byLogits(logits, choice)
    shaped(options, choice).forEach((share, index) => expect(share).toBeCloseTo(expected[index] ?? NaN, 8))
  }
})

test("with every parameter off, probabilities are the model's own, also if some words are missing", () => {
  const options = [0.5, 0.2, 0.1].map((probability, index) => ({ text: `w${index}`, probability }))
  shaped(options, OFF).forEach((share, index) => expect(share).toBeCloseTo(options[index]?.probability ?? NaN, 12))
})

test("at temperature 0 the most likely word has probability 1", () => {
  expect(
    shaped(
      [
        { text: "a", probability: 0.4 },
        { text: "b", probability: 0.3 },
      ],
      { ...OFF, temperature: 0 },
    ),
  ).toEqual([1, 0])
})
