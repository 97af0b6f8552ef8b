/** Desk commands: keys belong to one command each, never type a character, and act on the active sheet. */

import { describe, expect, test } from "vitest"
import { matches, type Pressed } from "../../src/stores/commands.ts"
import { deskCommands } from "../../src/stores/desk-commands.ts"

/** A command table over a desk that records the calls. */
function tableOf(active: { usable: boolean } | null, sheets = 1) {
  const called: string[] = []
  const recorder = (owner: string, fields: object = {}) =>
    new Proxy(fields, {
      get: (known, name) => Reflect.get(known, name) ?? (() => called.push(`${owner}.${String(name)}`)),
    })
  const sheet = active && recorder("sheet", active)
  const desk = recorder("desk", { active: sheet, sheets: Array.from({ length: sheets }, () => sheet) })
  return { called, commands: deskCommands(desk as never, recorder("theme") as never, recorder("panels") as never) }
}

const { commands } = tableOf({ usable: true })

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

describe.each([true, false])("keys on a keyboard (Mac: %s)", (mac) => {
  test("find their own command and no other", () => {
    for (const { id, keys } of commands) {
      if (!keys) continue
      const hits = commands.filter((other) => other.keys && matches(other.keys, press(keys, mac), mac, false))
      expect(hits.map((hit) => hit.id)).toEqual([id])
    }
  })

  test("never take a character from the text", () => {
    const typed = [..."abcdefghijklmnopqrstuvwxyz?/!ABZ"].flatMap((key) => {
      const plain = {
        key,
        code: `Key${key.toUpperCase()}`,
        ctrlKey: false,
        metaKey: false,
        altKey: false,
        shiftKey: false,
      }
      // On a Mac, Alt alone types; elsewhere AltGr does, which reports Ctrl and Alt.
      const other = mac ? { ...plain, altKey: true } : { ...plain, altKey: true, ctrlKey: true }
      return [plain, { ...plain, shiftKey: true }, other]
    })
    for (const pressed of typed) {
      expect(commands.filter(({ keys }) => keys && matches(keys, pressed, mac, true))).toEqual([])
    }
  })
})

test("every command has its own id, a name and an explanation", () => {
  expect(new Set(commands.map((command) => command.id)).size).toBe(commands.length)
  for (const { name, explains } of commands) {
    expect(name).toMatch(/^[A-Z]/)
    expect(explains).toMatch(/^[A-Z].*[^.]$/)
  }
})

test("every command acts once, on what it is named after", () => {
  const acts = {
    retry: "desk.retry",
    rewind: "desk.rewind",
    "from-here": "desk.continueFromHere",
    toggle: "desk.toggle",
    end: "sheet.toEnd",
    find: "sheet.find",
    text: "sheet.focus",
    next: "desk.nextSheet",
    choose: "desk.continueWith",
    voice: "panels.voice",
    library: "panels.library",
    theme: "theme.next",
    palette: "panels.palette",
    keys: "panels.keys",
    "keys-text": "panels.keys",
  }
  const { called, commands } = tableOf({ usable: true })
  for (const [id, act] of Object.entries(acts)) {
    commands.find((command) => command.id === id)?.run?.()
    expect(called.splice(0)).toEqual([act])
  }
})

test("commands on a draft need a usable draft, and commands on drafts side by side need several", () => {
  const possible = (active: { usable: boolean } | null, sheets: number) =>
    tableOf(active, sheets)
      .commands.filter(({ run, can }) => run && (can?.() ?? true))
      .map(({ id }) => id)
  const always = ["new", "library", "theme", "palette", "keys", "keys-text"]
  const onDraft = ["toggle", "retry", "rewind", "from-here", "end", "find", "text", "voice"]
  expect(possible(null, 0)).toEqual(always)
  expect(possible({ usable: false }, 1)).toEqual(always)
  expect(possible({ usable: true }, 1)).toEqual([...onDraft, ...always])
  expect(possible({ usable: true }, 2).sort()).toEqual([...onDraft, "next", "choose", ...always].sort())
  expect(possible({ usable: false }, 2)).toEqual(["next", ...always])
})
