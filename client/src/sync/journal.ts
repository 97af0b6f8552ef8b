/** Journal: the user's unconfirmed updates, kept on this device until the server confirms them.
 *
 * Owns one record per open document, under its client id, in IndexedDB, and the recovered texts. Without IndexedDB the
 * journal lives in memory, and `durable` is false. Knows nothing of sockets or editors. */

import type { PushedUpdate } from "./protocol.ts"

export interface JournalRecord {
  readonly draft: string
  readonly client: string
  /** The revision that the first update applies to. */
  readonly revision: number
  readonly updates: readonly PushedUpdate[]
}

/** A text that could not be merged. The page shows it until the user removes it. */
export interface Recovered {
  readonly id: string
  readonly draft: string
  readonly text: string
}

export interface Journal {
  /** Whether records outlive the page. */
  readonly durable: boolean
  /** Save a record. Resolves when the record is on disk. */
  save(record: JournalRecord): Promise<void>
  clear(draft: string, client: string): Promise<void>
  /** Clear the record, unless its owner has changed it since it was read. */
  clearIfUnchanged(record: JournalRecord): Promise<void>
  /** Return the records of one draft, or of all drafts. */
  records(draft?: string): Promise<readonly JournalRecord[]>
  keepRecovered(recovered: Recovered): Promise<void>
  recovered(draft: string): Promise<readonly Recovered[]>
  dropRecovered(id: string): Promise<void>
}

const DATABASE = "storygen"
const UNCONFIRMED = "unconfirmed"
const RECOVERED = "recovered"

export async function openJournal(factory: IDBFactory | undefined = globalThis.indexedDB): Promise<Journal> {
  if (!factory) return new MemoryJournal()
  try {
    return new DiskJournal(await openDatabase(factory))
  } catch (error) {
    console.warn("Unsent changes cannot be kept on this device:", error)
    return new MemoryJournal()
  }
}

function openDatabase(factory: IDBFactory): Promise<IDBDatabase> {
  return new Promise((resolve, reject) => {
    const opening = factory.open(DATABASE, 1)
    opening.onupgradeneeded = () => {
      opening.result.createObjectStore(UNCONFIRMED, { keyPath: ["draft", "client"] })
      opening.result.createObjectStore(RECOVERED, { keyPath: "id" })
    }
    opening.onsuccess = () => resolve(opening.result)
    opening.onerror = () => reject(opening.error ?? new Error("IndexedDB cannot be opened."))
    opening.onblocked = () => reject(new Error("Another tab holds an older journal open."))
  })
}

class DiskJournal implements Journal {
  readonly durable = true
  constructor(private readonly database: IDBDatabase) {
    database.onversionchange = () => database.close()
  }

  save(record: JournalRecord): Promise<void> {
    return this.write(UNCONFIRMED, (store) => store.put(record))
  }

  clear(draft: string, client: string): Promise<void> {
    return this.write(UNCONFIRMED, (store) => store.delete([draft, client]))
  }

  clearIfUnchanged(record: JournalRecord): Promise<void> {
    return this.write(UNCONFIRMED, (store) => {
      const reading = store.get([record.draft, record.client])
      reading.onsuccess = () => {
        if (isSame(reading.result as JournalRecord | undefined, record)) store.delete([record.draft, record.client])
      }
    })
  }

  async records(draft?: string): Promise<readonly JournalRecord[]> {
    const all = await this.readAll<JournalRecord>(UNCONFIRMED)
    return all.filter((record) => draft === undefined || record.draft === draft)
  }

  keepRecovered(recovered: Recovered): Promise<void> {
    return this.write(RECOVERED, (store) => store.put(recovered))
  }

  async recovered(draft: string): Promise<readonly Recovered[]> {
    const all = await this.readAll<Recovered>(RECOVERED)
    return all.filter((recovered) => recovered.draft === draft)
  }

  dropRecovered(id: string): Promise<void> {
    return this.write(RECOVERED, (store) => store.delete(id))
  }

  private write(name: string, act: (store: IDBObjectStore) => void): Promise<void> {
    return new Promise((resolve, reject) => {
      const transaction = this.database.transaction(name, "readwrite", { durability: "strict" })
      transaction.oncomplete = () => resolve()
      transaction.onabort = () => reject(transaction.error ?? new Error("The journal could not be written."))
      act(transaction.objectStore(name))
    })
  }

  private readAll<T>(name: string): Promise<T[]> {
    return new Promise((resolve, reject) => {
      const reading = this.database.transaction(name).objectStore(name).getAll()
      reading.onsuccess = () => resolve(reading.result as T[])
      reading.onerror = () => reject(reading.error ?? new Error("The journal could not be read."))
    })
  }
}

/** A journal that lives as long as the page. */
export class MemoryJournal implements Journal {
  readonly durable = false
  private readonly unconfirmed = new Map<string, JournalRecord>()
  private readonly kept = new Map<string, Recovered>()

  async save(record: JournalRecord): Promise<void> {
    this.unconfirmed.set(`${record.draft} ${record.client}`, record)
  }

  async clear(draft: string, client: string): Promise<void> {
    this.unconfirmed.delete(`${draft} ${client}`)
  }

  async clearIfUnchanged(record: JournalRecord): Promise<void> {
    const key = `${record.draft} ${record.client}`
    if (isSame(this.unconfirmed.get(key), record)) this.unconfirmed.delete(key)
  }

  async records(draft?: string): Promise<readonly JournalRecord[]> {
    return [...this.unconfirmed.values()].filter((record) => draft === undefined || record.draft === draft)
  }

  async keepRecovered(recovered: Recovered): Promise<void> {
    this.kept.set(recovered.id, recovered)
  }

  async recovered(draft: string): Promise<readonly Recovered[]> {
    return [...this.kept.values()].filter((recovered) => recovered.draft === draft)
  }

  async dropRecovered(id: string): Promise<void> {
    this.kept.delete(id)
  }
}

function isSame(stored: JournalRecord | undefined, read: JournalRecord): boolean {
  return stored?.revision === read.revision && stored.updates.length === read.updates.length
}
