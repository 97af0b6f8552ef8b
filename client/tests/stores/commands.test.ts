/** Commands: keys match on every keyboard, and a search finds commands by their words. */

import { describe, expect, test } from "vitest"
import { type Command, found, matches, type Pressed, spoken } from "../../src/stores/commands.ts"

const NONE: Pressed = { key: "", code: "", ctrlKey: false, metaKey: false, altKey: false, shiftKey: false }

describe("keys", () => {
  test("match with Ctrl, and on a Mac with Cmd", () => {
    const ctrl = { ...NONE, key: "k", ctrlKey: true }
    const cmd = { ...NONE, key: "k", metaKey: true }
    expect([ctrl, cmd].map((pressed) => matches("Mod+K", pressed, false, true))).toEqual([true, false])
    expect([ctrl, cmd].map((pressed) => matches("Mod+K", pressed, true, true))).toEqual([false, true])
  })

  test("match with Alt by the place of the letter, and on a Mac with Ctrl and Alt", () => {
    const alt = { ...NONE, key: "®", code: "KeyR", altKey: true }
    expect(matches("Alt+R", alt, false, true)).toBe(true)
    expect(matches("Alt+R", alt, true, true)).toBe(false)
    expect(matches("Alt+R", { ...alt, ctrlKey: true }, true, true)).toBe(true)
    expect(matches("Alt+R", { ...alt, code: "KeyT" }, false, true)).toBe(false)
  })

  test("match only with exactly their modifiers, but a slash may need Shift", () => {
    const shifted = { ...NONE, key: "K", ctrlKey: true, shiftKey: true }
    expect(matches("Mod+K", shifted, false, false)).toBe(false)
    expect(matches("Mod+Shift+K", shifted, false, false)).toBe(true)
    expect(matches("Mod+/", { ...shifted, key: "/" }, false, false)).toBe(true)
  })

  test("without modifiers match only outside of text fields", () => {
    const question = { ...NONE, key: "?", shiftKey: true }
    expect(matches("?", question, false, false)).toBe(true)
    expect(matches("?", question, false, true)).toBe(false)
    expect(matches("?", { ...question, ctrlKey: true }, false, false)).toBe(false)
  })

  test("have the names on the user's keyboard", () => {
    expect([spoken("Mod+K", false), spoken("Mod+K", true), spoken("Alt+R", true)]).toEqual(["Ctrl + K", "⌘ K", "⌃ ⌥ R"])
  })
})

test("a search finds commands by all its words, and prefers names", () => {
  const list: Command[] = [
    { id: "a", name: "Retry", explains: "Writes the passage again" },
    { id: "b", name: "Writes", explains: "Something" },
  ]
  const ids = (asked: string) => found(list, asked).map((command) => command.id)
  expect(ids("wri")).toEqual(["b", "a"])
  expect(ids(" again  RETRY ")).toEqual(["a"])
  expect(ids("retry something")).toEqual([])
  expect(found(list, "")).toEqual(list)
})
