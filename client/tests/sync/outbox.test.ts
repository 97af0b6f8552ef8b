/** Outbox: every update is in the journal first, then sent in pushes that fit, once, whatever is lost on the way. */

import { IDBFactory } from "fake-indexeddb"
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest"
import { type JournalRecord, MemoryJournal, openJournal } from "../../src/sync/journal.ts"
import { UPDATE_UNITS } from "../../src/sync/versioned.ts"
import { Authority, Line, settle } from "../simulation/authority.ts"
import { expectAgreement, opened, quiet } from "../simulation/quiet.ts"
import { Tab } from "../simulation/tab.ts"

beforeEach(() => void vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "Date"] }))
afterEach(() => void vi.useRealTimers())

class SlowJournal extends MemoryJournal {
  slow = false
  wake: () => void = () => undefined

  override async save(record: JournalRecord): Promise<void> {
    if (this.slow) await new Promise<void>((resolve) => (this.wake = resolve))
    await super.save(record)
  }
}

describe("the outbox", () => {
  test("sends nothing while an IME composes, and everything afterwards", async () => {
    const authority = new Authority("a")
    const tab = await opened(authority)
    tab.composing = true
    tab.type("n")
    await quiet([tab], 3)
    expect(tab.line.pushes).toEqual([])
    tab.composing = false
    tab.type("!")
    await quiet([tab])
    expect(authority.text).toBe("an!")
    expectAgreement(authority, [tab])
  })

  test("has one push in flight, and takes only the stream as a confirmation", async () => {
    const authority = new Authority("")
    const tab = await opened(authority)
    tab.type("a")
    await vi.advanceTimersByTimeAsync(0)
    tab.type("b")
    tab.type("c")
    await quiet([tab], 1)
    expect(tab.line.pushes.map((push) => push.updates.length)).toEqual([1])
    await quiet([tab])
    expect(tab.line.pushes.map((push) => push.updates.length)).toEqual([1, 2])
    expectAgreement(authority, [tab])
  })

  test("sends a push again after a lost answer, and the text holds it once", async () => {
    const authority = new Authority("x")
    const tab = await opened(authority)
    tab.type("y")
    await vi.advanceTimersByTimeAsync(0)
    const push = tab.line.pushes.length
    await tab.line.tick()
    tab.cut()
    tab.type("z")
    await quiet([tab], 3)
    tab.mend()
    await quiet([tab])
    expect(push).toBe(0)
    expect(authority.text).toBe("xyz")
    expectAgreement(authority, [tab])
  })

  test.each(["busy", "rate_limited", "storage"] as const)("tries again when the server says %s", async (code) => {
    const authority = new Authority("a")
    const tab = await opened(authority)
    tab.line.refuseNext = { ok: false, error: { code, message: code } }
    tab.type("b")
    await quiet([tab])
    expect(authority.text).toBe("ab")
    expectAgreement(authority, [tab])
  })

  test("sends a large paste in pushes that fit", async () => {
    const authority = new Authority("ab")
    const tab = await opened(authority)
    const paste = "Grüße, 🐉!\n".repeat(20_000)
    tab.type(paste, 1)
    await quiet([tab], 120)
    expect(authority.text).toBe(`a${paste}b`)
    expect(tab.line.pushes.length).toBeGreaterThan(paste.length / UPDATE_UNITS)
    for (const { updates } of tab.line.pushes) expect(JSON.stringify(updates).length * 4).toBeLessThan(256 * 1024)
    expect(tab.document.revision).toBe(authority.revision)
    tab.undo()
    await quiet([tab])
    expect(authority.text).toBe("ab")
    tab.redo()
    await quiet([tab], 120)
    expect(authority.text).toBe(`a${paste}b`)
  })

  test("writes updates into the journal before it sends them, and clears them once they are confirmed", async () => {
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

  test("waits for a slow disk, also behind a push in flight", async () => {
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
})
