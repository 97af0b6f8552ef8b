/** Replay: the unsent updates of a closed page are sent once, over the updates since, or kept as recovered text. */

import { IDBFactory } from "fake-indexeddb"
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest"
import { MemoryJournal, openJournal } from "../../src/sync/journal.ts"
import { randomId } from "../../src/sync/push.ts"
import { clientLock, replayAbandoned } from "../../src/sync/replay.ts"
import { Authority, Line, settle } from "../simulation/authority.ts"
import { quiet } from "../simulation/quiet.ts"
import { Tab } from "../simulation/tab.ts"

beforeEach(() => void vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "Date"] }))
afterEach(() => void vi.useRealTimers())

/** Takes turns on a line until `done` settles. */
async function until<T>(line: Line, done: Promise<T>): Promise<T> {
  let ended = false
  const finished = done.finally(() => (ended = true))
  finished.catch(() => undefined)
  for (let turn = 0; turn < 200 && !ended; turn++) await line.tick()
  return finished
}

describe("the unsent text of a page", () => {
  test("is sent once by the next page, even if it had arrived", async () => {
    for (const arrived of [false, true]) {
      const factory = new IDBFactory()
      const authority = new Authority("a")
      const closed = new Tab(new Line(authority), await openJournal(factory))
      await quiet([closed])
      if (arrived) closed.type("b")
      else closed.cut()
      if (!arrived) closed.type("b")
      await settle()
      if (arrived) await closed.line.tick()
      closed.cut()
      closed.type("c")
      await settle()
      expect(authority.text).toBe(arrived ? "ab" : "a")

      const next = new Tab(new Line(authority), await openJournal(factory))
      await quiet([next])
      expect(next.text).toBe("abc")
      expect(authority.text).toBe("abc")
      expect(await next.journal.records("d")).toEqual([])
    }
  })

  test("is rebased over newer updates and sent in pushes that fit", async () => {
    const journal = new MemoryJournal()
    const authority = new Authority("begin end")
    const closed = new Tab(new Line(authority), journal)
    await quiet([closed])
    closed.cut()
    const paste = "word ".repeat(30_000)
    closed.type(paste, 5)
    await settle()
    authority.write(" and on")
    const next = new Tab(new Line(authority), journal)
    await quiet([next])
    expect(authority.text).toBe(`begin${paste} end and on`)
    expect(next.line.pushes.length).toBeGreaterThan(3)
    expect(await journal.records("d")).toEqual([])
  })

  test("is rebased in steps if too many updates lie between", async () => {
    const journal = new MemoryJournal()
    const authority = new Authority("begin end")
    const closed = new Tab(new Line(authority), journal)
    await quiet([closed])
    closed.cut()
    closed.type(" middle", 5)
    await settle()
    for (const word of [" and", " so", " on"]) authority.write(word)
    authority.reach = 2
    const next = new Tab(new Line(authority), journal)
    await quiet([next])
    expect(authority.text).toBe("begin middle end and so on")
    expect(await journal.recovered("d")).toEqual([])
    expect(await journal.records("d")).toEqual([])
  })

  test("becomes recovered text if the server refuses it", async () => {
    const journal = new MemoryJournal()
    const authority = new Authority("a")
    const closed = new Tab(new Line(authority), journal)
    await quiet([closed])
    closed.cut()
    closed.type(" lost line")
    await settle()
    authority.write("x")
    authority.floor = 1
    const next = new Tab(new Line(authority), journal)
    await quiet([next])
    expect((await journal.recovered("d")).map(({ text }) => text)).toEqual([" lost line"])
    expect(await journal.records("d")).toEqual([])
  })

  test("is left alone while the page is open", async () => {
    const held = new Set<string>()
    const locks = {
      request: async (name: string, _options: object, act: (lock: object | null) => Promise<void>) =>
        act(held.has(name) ? null : {}),
    } as unknown as LockManager
    const authority = new Authority("ab")
    const line = new Line(authority)
    const journal = new MemoryJournal()
    const record = { draft: "d", client: randomId(), revision: 0, updates: [{ changes: [2, [0, "c"]] }] }
    await journal.save(record)
    held.add(clientLock(record.client))
    await until(line, replayAbandoned("d", journal, line, locks))
    expect(line.pushes).toEqual([])
    held.clear()
    await until(line, replayAbandoned("d", journal, line, locks))
    expect(authority.text).toBe("abc")
  })
})
