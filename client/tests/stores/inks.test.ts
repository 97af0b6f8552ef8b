/** Inks: a model keeps its ink, and the menu's order decides which. */

import { expect, test } from "vitest"
import { Inks } from "../../src/stores/inks.ts"
import type { MenuEntry } from "../../src/sync/protocol.ts"

const entry = (name: string): MenuEntry => ({ name, model: name, available: true })

test("models have inks in the order of the menu, and an author has its model's ink", () => {
  const inks = new Inks()
  inks.learn({ continue: [entry("A"), entry("B")], prompt: [entry("C"), entry("A")] })
  expect(["A", "B", "C"].map((name) => inks.ofModel(name))).toEqual([0, 1, 2])
  expect(inks.ofAuthor("model:B")).toBe(1)
})

test("a model keeps its ink when the menu changes", () => {
  const inks = new Inks()
  inks.learn({ continue: [entry("A"), entry("B")], prompt: [] })
  inks.learn({ continue: [entry("new"), entry("B"), entry("A")], prompt: [] })
  expect(["A", "B", "new"].map((name) => inks.ofModel(name))).toEqual([0, 1, 2])
  expect(inks.ofModel("not in the menu")).toBe(3)
})
