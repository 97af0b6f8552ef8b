import { IDBFactory } from "fake-indexeddb"
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest"
import { type Journal, type JournalRecord, MemoryJournal, openJournal } from "../../src/sync/journal.ts"
import { clientLock, replayAbandoned } from "../../src/sync/replay.ts"
import { randomId } from "../../src/sync/push.ts"
import { Authority, Line, settle } from "../simulation/authority.ts"
import { Tab } from "../simulation/tab.ts"

beforeEach(() => void vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "Date"] }))
afterEach(() => void vi.useRealTimers())

async function quiet(tabs: readonly Tab[], turns = 30): Promise<void> {
  for (let turn = 0; turn < turns; turn++) {
    for (const tab of tabs) await tab.line.tick()
    await vi.advanceTimersByTimeAsync(300)
  }
}

/** Turns on a line until `done`, for what isn't a tab. */
async function until<T>(line: Line, done: Promise<T>): Promise<T> {
  let ended = false
  const finished = done.finally(() => (ended = true))
  finished.catch(() => undefined)
  for (let turn = 0; turn < 200 && !ended; turn++) await line.tick()
  return finished
}

class SlowJournal extends MemoryJournal {
  slow = false
  wake: () => void = () => undefined

  override async save(record: JournalRecord): Promise<void> {
    if (this.slow) await new Promise<void>((resolve) => (this.wake = resolve))
    await super.save(record)
  }
}

const journals: [string, () => Promise<Journal>][] = [
  ["IndexedDB", () => openJournal(new IDBFactory())],
  ["memory", () => openJournal(undefined)],
]

describe.each(journals)("the journal in %s", (name, make) => {
  test("keeps records by draft and client until they are cleared", async () => {
    const journal = await make()
    const record = { draft: "d", client: "a", revision: 3, updates: [{ changes: [1, [0, "x"]] }] }
    await journal.save(record)
    await journal.save({ ...record, client: "b" })
    await journal.save({ ...record, draft: "e" })
    await journal.clear("d", "b")
    expect(await journal.records("d")).toEqual([record])
    expect(journal.durable).toBe(name === "IndexedDB")
  })

  test("does not clear what its owner has written to since", async () => {
    const journal = await make()
    const record = { draft: "d", client: "a", revision: 3, updates: [{ changes: [1, [0, "x"]] }] }
    const longer = { ...record, updates: [...record.updates, { changes: [2, [0, "y"]] }] }
    await journal.save(longer)
    await journal.clearIfUnchanged(record)
    expect(await journal.records("d")).toEqual([longer])
    await journal.clearIfUnchanged(longer)
    expect(await journal.records("d")).toEqual([])
  })
})

describe("unsent text", () => {
  test("is in the journal before it is sent, and leaves it when it is confirmed", async () => {
    const journal = await openJournal(new IDBFactory())
    const authority = new Authority("a")
    const tab = new Tab(new Line(authority), journal)
    await quiet([tab])
    tab.type("b")
    await settle()
    expect(tab.line.pushes).toEqual([])
    expect((await journal.records("d")).length).toBe(1)
    await quiet([tab])
    expect(authority.text).toBe("ab")
    expect(await journal.records("d")).toEqual([])
  })

  test("waits for a slow disk, also behind a push that is under way", async () => {
    const journal = new SlowJournal()
    const authority = new Authority("a")
    const tab = new Tab(new Line(authority), journal)
    await quiet([tab])
    tab.type("b")
    await settle()
    journal.slow = true
    tab.type("c")
    await quiet([tab])
    expect(authority.text).toBe("ab")
    journal.wake()
    await quiet([tab])
    expect(authority.text).toBe("abc")
  })

  test("of a page that died is sent by the next one, once, even if it had arrived", async () => {
    for (const arrived of [false, true]) {
      const factory = new IDBFactory()
      const authority = new Authority("a")
      const dead = new Tab(new Line(authority), await openJournal(factory))
      await quiet([dead])
      if (arrived) dead.type("b")
      else dead.cut()
      if (!arrived) dead.type("b")
      await settle()
      if (arrived) await dead.line.tick()
      dead.cut()
      dead.type("c")
      await settle()
      expect(authority.text).toBe(arrived ? "ab" : "a")

      const next = new Tab(new Line(authority), await openJournal(factory))
      await quiet([next])
      expect(next.text).toBe("abc")
      expect(authority.text).toBe("abc")
      expect(await next.journal.records("d")).toEqual([])
    }
  })

  test("of a page that died is sent over what others wrote meanwhile, in pushes that fit", async () => {
    const journal = new MemoryJournal()
    const authority = new Authority("begin end")
    const dead = new Tab(new Line(authority), journal)
    await quiet([dead])
    dead.cut()
    const paste = "word ".repeat(30_000)
    dead.type(paste, 5)
    await settle()
    authority.write(" and on")
    const next = new Tab(new Line(authority), journal)
    await quiet([next])
    expect(authority.text).toBe(`begin${paste} end and on`)
    expect(next.line.pushes.length).toBeGreaterThan(3)
    expect(await journal.records("d")).toEqual([])
  })

  test("of a page that died is brought up to date where too much has changed since", async () => {
    const journal = new MemoryJournal()
    const authority = new Authority("begin end")
    const dead = new Tab(new Line(authority), journal)
    await quiet([dead])
    dead.cut()
    dead.type(" middle", 5)
    await settle()
    for (const word of [" and", " so", " on"]) authority.write(word)
    authority.reach = 2
    const next = new Tab(new Line(authority), journal)
    await quiet([next])
    expect(authority.text).toBe("begin middle end and so on")
    expect(await journal.recovered("d")).toEqual([])
    expect(await journal.records("d")).toEqual([])
  })

  test("the server won't take becomes recovered text", async () => {
    const journal = new MemoryJournal()
    const authority = new Authority("a")
    const dead = new Tab(new Line(authority), journal)
    await quiet([dead])
    dead.cut()
    dead.type(" lost line")
    await settle()
    authority.write("x")
    authority.floor = 1
    const next = new Tab(new Line(authority), journal)
    await quiet([next])
    expect((await journal.recovered("d")).map(({ text }) => text)).toEqual([" lost line"])
    expect(await journal.records("d")).toEqual([])
  })

  test("of a page that lives is left alone", async () => {
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
