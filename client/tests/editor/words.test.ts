/** Word count: counting change by change gives the count of the whole text. */

import { ChangeSet, type ChangeSpec, Text } from "@codemirror/state"
import { expect, test } from "vitest"
import { countWords, wordsGained } from "../../src/editor/words.ts"
import { Random } from "../simulation/random.ts"

test("the words that a change adds are the difference between the whole texts", () => {
  const chance = new Random(11)
  const piece = () => Array.from({ length: chance.below(9) }, () => "ab  \n\n"[chance.below(6)]).join("")
  let text = Text.of(["Once upon a time", "", "there was a lighthouse."])
  for (let round = 0; round < 3_000; round++) {
    const specs: ChangeSpec[] = []
    for (let at = 0; specs.length < 4;) {
      const from = Math.min(text.length, at + chance.below(12))
      const to = Math.min(text.length, from + chance.below(6))
      specs.push({ from, to, insert: Text.of(piece().split("\n")) })
      at = to
    }
    const changes = ChangeSet.of(specs, text.length)
    const after = changes.apply(text)
    expect(wordsGained(text, after, changes)).toBe(countWords(after) - countWords(text))
    text = after.length > 400 ? Text.of(["one two", "three"]) : after
  }
})
