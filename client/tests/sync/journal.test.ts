/** Journal: records and recovered texts are kept until they are removed, on disk or else in memory. */

import { IDBFactory } from "fake-indexeddb"
import { describe, expect, test, vi } from "vitest"
import { type Journal, openJournal } from "../../src/sync/journal.ts"

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

  test("does not clear a record that its owner has extended", async () => {
    const journal = await make()
    const record = { draft: "d", client: "a", revision: 3, updates: [{ changes: [1, [0, "x"]] }] }
    const longer = { ...record, updates: [...record.updates, { changes: [2, [0, "y"]] }] }
    await journal.save(longer)
    await journal.clearIfUnchanged(record)
    expect(await journal.records("d")).toEqual([longer])
    await journal.clearIfUnchanged(longer)
    expect(await journal.records("d")).toEqual([])
  })

  test("returns the records of all drafts", async () => {
    const journal = await make()
    const records = ["d", "e"].map((draft) => ({ draft, client: "a", revision: 3, updates: [] }))
    for (const record of records) await journal.save(record)
    expect(await journal.records()).toEqual(records)
  })

  test("keeps the recovered texts of a draft until they are dropped", async () => {
    const journal = await make()
    const texts = ["1", "2"].map((id) => ({ id, draft: "d", text: `text ${id}` }))
    for (const text of texts) await journal.keepRecovered(text)
    await journal.keepRecovered({ id: "3", draft: "e", text: "other" })
    expect(await journal.recovered("d")).toEqual(texts)
    await journal.dropRecovered("1")
    expect(await journal.recovered("d")).toEqual([texts[1]])
  })
})

test("records outlive the page that wrote them", async () => {
  const factory = new IDBFactory()
  const record = { draft: "d", client: "a", revision: 3, updates: [] }
  await (await openJournal(factory)).save(record)
  expect(await (await openJournal(factory)).records("d")).toEqual([record])
})

test("a journal that cannot be opened on disk lives in memory", async () => {
  const warn = vi.spyOn(console, "warn").mockReturnValue()
  const factory = new IDBFactory()
  await new Promise((resolve) => (factory.open("storygen", 99).onsuccess = resolve))
  const journal = await openJournal(factory)
  expect(journal.durable).toBe(false)
  expect(warn).toHaveBeenCalledOnce()
  warn.mockRestore()
})
