/** Document client: whatever is typed, lost or delayed, the page and the server end with the same text. */

import { afterEach, beforeEach, describe, expect, test, vi } from "vitest"
import { authorship } from "../../src/sync/authorship.ts"
import { MemoryJournal } from "../../src/sync/journal.ts"

import { Authority, latencyUpTo, Line, settle } from "../simulation/authority.ts"
import { expectAgreement, opened, quiet } from "../simulation/quiet.ts"
import { Random } from "../simulation/random.ts"
import { Tab } from "../simulation/tab.ts"

beforeEach(() => void vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "Date"] }))
afterEach(() => void vi.useRealTimers())

describe("a document client", () => {
  test("opens the draft with its authors, and follows the model", async () => {
    const authority = new Authority("Once")
    authority.write(" upon")
    const tab = await opened(authority)
    authority.write(" a time")
    await quiet([tab], 2)
    expect(tab.text).toBe("Once upon a time")
    expectAgreement(authority, [tab])
  })

  test("keeps text typed at the end together, over model text that the user had not seen", async () => {
    const authority = new Authority("The cat sat on")
    const tab = new Tab(new Line(authority, () => 3))
    await quiet([tab], 12)
    for (const letter of " Hello") {
      tab.type(letter)
      // As on the server, the model waits from the first letter that arrives.
      if (tab.line.pushes.length === 0) authority.write(" mat")
      await quiet([tab], 1)
    }
    await quiet([tab])
    expect(tab.text).toBe("The cat sat on Hello")
    expectAgreement(authority, [tab])
  })

  test("opens again after a gap", async () => {
    const authority = new Authority("a")
    const tab = await opened(authority)
    tab.document.receive({ draft: "d", revision: 7, epoch: 0, updates: [] })
    authority.write("b")
    await quiet([tab])
    expectAgreement(authority, [tab])
  })

  test("rebases a push in steps if too many updates lie between", async () => {
    const authority = new Authority("begin end")
    const journal = new MemoryJournal()
    const tab = await opened(authority, journal)
    authority.reach = 2
    tab.type(" middle", 5)
    await settle()
    for (const word of [" and", " so", " on"]) authority.write(word)
    await quiet([tab])
    expect(authority.text).toBe("begin middle end and so on")
    expect(await journal.recovered("d")).toEqual([])
    expectAgreement(authority, [tab])
  })

  test("sets text aside if the server's log no longer reaches it, and never drops it", async () => {
    const authority = new Authority("a story")
    const journal = new MemoryJournal()
    const tab = await opened(authority, journal)
    tab.cut()
    tab.type(" with an unsent end")
    authority.write(" goes on")
    authority.floor = authority.revision
    tab.mend()
    await quiet([tab])
    expect((await journal.recovered("d")).map(({ text }) => text)).toEqual([" with an unsent end"])
    expect(await journal.records("d")).toEqual([])
    expectAgreement(authority, [tab])
  })

  test("sets a refused push aside and continues", async () => {
    const authority = new Authority("a")
    const journal = new MemoryJournal()
    const tab = await opened(authority, journal)
    tab.line.refuseNext = { ok: false, error: { code: "too_large", message: "too large" } }
    tab.type("b")
    await quiet([tab])
    expect((await journal.recovered("d")).map(({ text }) => text)).toEqual(["b"])
    tab.type("c")
    await quiet([tab])
    expect(authority.text).toBe("ac")
    expectAgreement(authority, [tab])
  })

  test("normalises line ends", async () => {
    const authority = new Authority("")
    const tab = await opened(authority)
    tab.type("a\r\nb\rc")
    await quiet([tab])
    expect(authority.text).toBe("a\nb\nc")
  })

  test("holds while an IME composes, and sends no half-composed text", async () => {
    const authority = new Authority("a")
    const tab = await opened(authority)
    tab.composing = true
    tab.type("n")
    authority.write(" model")
    await quiet([tab], 3)
    expect(tab.line.pushes).toEqual([])
    expect(tab.text).toBe("an")
    expect(tab.line.hints.filter(([hint]) => hint === "hold").length).toBeGreaterThan(1)
    tab.do({ changes: { from: 1, to: 2, insert: "に" } })
    tab.composing = false
    tab.document.composing()
    await quiet([tab])
    expect(tab.line.hints.filter(([hint]) => hint === "hold").at(-1)).toEqual([
      "hold",
      { draft: "d", composing: false },
    ])
    expect(tab.text).toContain("に")
    expectAgreement(authority, [tab])
  })

  test.each([
    [1, 1],
    [50, 11],
  ])("with %i tokens at a time, gives credit at most %i times in three seconds", async (tokens, most) => {
    const authority = new Authority("")
    const tab = await opened(authority)
    const before = tab.line.hints.length
    for (let turn = 0; turn < 120; turn++) {
      authority.write("x".repeat(tokens))
      await tab.line.tick()
      await vi.advanceTimersByTimeAsync(25)
    }
    expect(tab.line.hints.length - before).toBeLessThanOrEqual(most)
    expect(tab.line.hints.length - before).toBeGreaterThanOrEqual(most - 1)
    await vi.advanceTimersByTimeAsync(3_000)
    expect(tab.line.hints.at(-1)).toEqual(["seen", { draft: "d", revision: authority.revision }])
  })
})

describe("random writing", () => {
  test.each(Array.from({ length: 60 }, (_, seed) => seed + 1))("two tabs and a model agree (seed %i)", async (seed) => {
    const random = new Random(seed * 7919)
    const authority = new Authority("abc def")
    const tabs = [0, 1].map(() => new Tab(new Line(authority, latencyUpTo(4, random))))
    await quiet(tabs, 20)
    const typed: string[] = []
    for (let step = 0; step < 60; step++) {
      act(random, authority, random.pick(tabs), typed)
      for (const tab of tabs) if (random.below(2)) await tab.line.tick()
      if (random.below(4) === 0) await vi.advanceTimersByTimeAsync(200)
    }
    for (const tab of tabs) if (!tab.line.connected) tab.mend()
    await quiet(tabs, 60)
    expectAgreement(authority, tabs)
    // Every typed mark is in the text exactly once and whole, whatever the model did meanwhile.
    for (const mark of typed) expect(authority.text.split(mark).length - 1, mark).toBe(1)
  })
})

/** Do one random act. Only model text is deleted, so that every typed mark must survive. */
function act(random: Random, authority: Authority, tab: Tab, typed: string[]): void {
  if (!tab.document.revision && !tab.text) return
  const kind = random.below(10)
  if (kind < 4) {
    const mark = `<${typed.length}${random.pick(["🐉", "é", "x"])}>`
    const inMark = (at: number) => /<[^>]*$/.test(tab.text.slice(0, at))
    const anywhere = random.below(tab.state.doc.length + 1)
    tab.type(mark, random.below(2) || inMark(anywhere) ? tab.state.doc.length : anywhere)
    typed.push(mark)
  } else if (kind < 6) authority.write(random.pick([" mo", "\n", " del🌲", "."]))
  else if (kind < 8) deleteModelText(random, tab)
  else if (kind === 8 && tab.line.connected) tab.cut()
  else if (!tab.line.connected) tab.mend()
}

function deleteModelText(random: Random, tab: Tab): void {
  let at = 0
  const stretches: [number, number][] = []
  for (const [length, author] of authorship.runs(tab.state)) {
    if (author !== "user") stretches.push([at, at + length])
    at += length
  }
  if (stretches.length === 0) return
  const [from, to] = random.pick(stretches)
  tab.delete(from, to)
}
