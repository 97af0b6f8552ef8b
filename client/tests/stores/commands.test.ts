/** Keys mean one command each, on every keyboard, and never take a character from somebody who types. */

import { expect, test } from "vitest"
import { type Command, found, matches, type Pressed, spoken } from "../../src/stores/commands.ts"
import { deskCommands } from "../../src/stores/desk-commands.ts"

const nothing = () => undefined
const commands = deskCommands({} as never, {} as never, { library: nothing, keys: nothing, palette: nothing, voice: nothing })

/** What the browser reports when these keys are pressed. */
function press(keys: string, mac: boolean): Pressed {
  const parts = keys.split("+")
  const key = parts.pop() ?? ""
  const alt = parts.includes("Alt")
  const mod = parts.includes("Mod")
  return {
    key: mac && alt ? "∂" : key.toLowerCase(),
    code: /^[A-Z]$/.test(key) ? `Key${key}` : key,
    ctrlKey: mac ? alt : mod,
    metaKey: mac && mod,
    altKey: alt,
    shiftKey: parts.includes("Shift") || key === "?",
  }
}

test.each([true, false])("every command's keys find it and no other (Mac: %s)", (mac) => {
  for (const { id, keys } of commands) {
    if (!keys) continue
    const hits = commands.filter((other) => other.keys && matches(other.keys, press(keys, mac), mac, false))
    expect(hits.map((hit) => hit.id)).toEqual([id])
  }
})

test.each([true, false])("no key that types a character is taken from the text (Mac: %s)", (mac) => {
  const typed = [..."abcdefghijklmnopqrstuvwxyz?/!ABZ"].flatMap((key) => {
    const plain = { key, code: `Key${key.toUpperCase()}`, ctrlKey: false, metaKey: false, altKey: false, shiftKey: false }
    // On a Mac, Alt alone types; elsewhere AltGr does, which reports Ctrl and Alt.
    const other = mac ? { ...plain, altKey: true } : { ...plain, altKey: true, ctrlKey: true }
    return [plain, { ...plain, shiftKey: true }, other]
  })
  for (const pressed of typed) {
    expect(commands.filter(({ keys }) => keys && matches(keys, pressed, mac, true))).toEqual([])
  }
})

test("every command says what it does, once", () => {
  expect(new Set(commands.map((command) => command.id)).size).toBe(commands.length)
  for (const command of commands) expect(command.explains).not.toBe("")
})

test("searching prefers names", () => {
  const list: Command[] = [
    { id: "a", name: "Retry", explains: "Writes again" },
    { id: "b", name: "Writes", explains: "Something" },
  ]
  expect(found(list, "wri").map((command) => command.id)).toEqual(["b", "a"])
  expect(found(list, "")).toEqual(list)
})

test("keys as people read them", () => {
  expect([spoken("Mod+K", false), spoken("Mod+K", true), spoken("Alt+R", true)]).toEqual(["Ctrl + K", "⌘ K", "⌃ ⌥ R"])
})
