/** Authority: a small server for tests, and the lines that connect pages to it.
 *
 * The authority rebases pushes, applies none twice and retracts unseen model text. A line delivers in turns that a test
 * takes with `tick`, so latency is a number of turns, and loses everything in flight when a test cuts it. */

import { ChangeSet, Text } from "@codemirror/state"
import { rebaseUpdates, type Update } from "@codemirror/collab"
import { DEFAULTS } from "../../src/stores/sampling.ts"
import {
  type Answer,
  type AuthorRun,
  type Channel,
  type Hints,
  LostAnswer,
  type Requests,
  type UpdatesEvent,
  type WireUpdate,
} from "../../src/sync/protocol.ts"
import { Random } from "./random.ts"

interface Entry {
  readonly clientID: string
  readonly author: string
  readonly changes: ChangeSet
  readonly authors: readonly AuthorRun[]
  readonly tokens?: WireUpdate["tokens"]
}

const SAMPLING = { ...DEFAULTS, pace: null }

export class Authority {
  readonly log: Entry[] = []
  doc: Text
  /** The author of each unit of the text. */
  units: string[]
  /** The oldest revision that the log reaches. */
  floor = 0
  /** The most updates over which an edit is rebased. */
  reach = Infinity
  readonly lines: Line[] = []

  constructor(text: string) {
    this.doc = Text.of(text.split("\n"))
    this.units = Array.from({ length: this.doc.length }, () => "user")
  }

  get revision(): number {
    return this.log.length
  }

  get text(): string {
    return this.doc.toString()
  }

  /** Append model text, one token per unit. */
  write(text: string): void {
    const changes = ChangeSet.of({ from: this.doc.length, insert: text }, this.doc.length)
    const tokens = Array.from({ length: text.length }, () => [1, -1] as const)
    this.commit([{ clientID: "model", author: "model:Tiny", changes, authors: [], tokens }])
  }

  edit({ revision, client, updates }: Requests["edit"][0]): Answer<{ revision: number }> {
    const over = this.log.slice(revision)
    if (revision < this.floor || over.length > this.reach) return refusal("behind")
    const parsed = updates.map(({ changes, authors }) => ({
      clientID: client,
      changes: ChangeSet.fromJSON(changes),
      authors: authors ?? [],
    }))
    const known = over.filter((entry) => entry.clientID === client).length
    const fresh = parsed.slice(known)
    if (fresh.length === 0) return { ok: true, revision: this.revision }
    if (fresh.some(({ changes }) => touchesEnd(changes))) this.retractUnseen(revision, parsed, known)
    // Rebase over one update at a time: CodeMirror would compose several, which can give another result.
    let rebased: readonly Update[] = parsed
    for (const entry of this.log.slice(revision)) rebased = rebaseUpdates(rebased, [entry])
    this.commit(
      rebased.map(({ changes }, index) => ({
        clientID: client,
        author: "user",
        changes,
        authors: fresh[index]?.authors ?? [],
      })),
    )
    return { ok: true, revision: this.revision }
  }

  /** Remove model text at the end that the writer had not seen, but no character of a user (the tail floor). */
  private retractUnseen(revision: number, updates: readonly { changes: ChangeSet }[], known: number): void {
    let end = updates[0]?.changes.length ?? 0
    for (const entry of this.log.slice(revision)) end = entry.changes.mapPos(end, -1)
    if (known > 0) end = this.doc.length
    const from = Math.max(end, this.units.lastIndexOf("user") + 1)
    if (from >= this.doc.length) return
    const changes = ChangeSet.of({ from, to: this.doc.length }, this.doc.length)
    this.commit([{ clientID: "server", author: "user", changes, authors: [] }])
  }

  private commit(entries: readonly Entry[]): void {
    const revision = this.revision
    for (const entry of entries) {
      this.units = attributed(this.units, entry)
      this.doc = entry.changes.apply(this.doc)
      this.log.push(entry)
    }
    const updates = entries.map(toWire)
    for (const line of this.lines) line.deliver({ draft: "d", revision, epoch: 0, updates })
  }

  open(revision: number | undefined): Answer<Requests["open"][1]> {
    const settings = { model: "Tiny", sampling: SAMPLING, premise: null }
    const head = { ok: true as const, revision: this.revision, epoch: 0, state: "paused" as const, settings }
    if (revision !== undefined && revision >= this.floor)
      return { ...head, updates: this.log.slice(revision).map(toWire) }
    return { ...head, text: this.text, authors: runsOf(this.units) }
  }
}

function touchesEnd(changes: ChangeSet): boolean {
  let touches = false
  changes.iterChanges((_from, to) => (touches ||= to === changes.length))
  return touches
}

function attributed(units: readonly string[], entry: Entry): string[] {
  const after: string[] = []
  const restored = entry.authors.flatMap(([length, author]) => Array.from({ length }, () => author))
  let at = 0
  let used = 0
  entry.changes.iterChanges((from, to, _fromB, _toB, inserted) => {
    for (; at < from; at++) after.push(units[at] as string)
    for (let unit = 0; unit < inserted.length; unit++) after.push(restored[used++] ?? entry.author)
    at = to
  }, true)
  return after.concat(units.slice(at))
}

/** Join the authors of single units into runs. */
export function runsOf(units: readonly string[]): AuthorRun[] {
  const runs: [number, string][] = []
  for (const author of units) {
    const last = runs.at(-1)
    if (last?.[1] === author) last[0]++
    else runs.push([1, author])
  }
  return runs
}

function toWire({ clientID, author, changes, authors, tokens }: Entry): WireUpdate {
  const body = { client: clientID, author, changes: changes.toJSON() as unknown, ...(tokens && { tokens }) }
  return authors.length ? { ...body, authors } : body
}

function refusal(code: "behind" | "invalid"): { ok: false; error: { code: typeof code; message: string } } {
  return { ok: false, error: { code, message: code } }
}

interface Parcel {
  due: number
  readonly deliver: () => void
  readonly lose: () => void
}

/** One page's connection to the authority: keeps the order both ways, delays by some turns, and can be cut. */
export class Line implements Channel {
  connected = true
  onUpdates: (event: UpdatesEvent) => void = () => undefined
  readonly hints: [keyof Hints, unknown][] = []
  readonly pushes: Requests["edit"][0][] = []
  /** The answer to the next edit, in place of the authority's. */
  refuseNext: Answer<never> | null = null
  private joined = false
  private now = 0
  private readonly up: Parcel[] = []
  private readonly down: Parcel[] = []

  constructor(
    private readonly authority: Authority,
    private readonly latency: () => number = () => 0,
  ) {
    authority.lines.push(this)
  }

  request<K extends keyof Requests>(event: K, payload: Requests[K][0]): Promise<Answer<Requests[K][1]>> {
    if (!this.connected) return Promise.reject(new LostAnswer("not connected"))
    return new Promise((resolve, reject) => {
      const lose = () => reject(new LostAnswer("cut"))
      this.queue(
        this.up,
        () => {
          const answer = this.answer(event, payload) as Answer<Requests[K][1]>
          this.queue(this.down, () => resolve(answer), lose)
        },
        lose,
      )
    })
  }

  hint<K extends keyof Hints>(event: K, payload: Hints[K]): void {
    this.hints.push([event, payload])
  }

  deliver(event: UpdatesEvent): void {
    if (this.joined && this.connected) this.queue(this.down, () => this.onUpdates(event))
  }

  /** Take one turn: deliver everything that is due, then let all promises settle. */
  async tick(): Promise<void> {
    this.now++
    for (const queue of [this.up, this.down]) {
      while (queue[0] && queue[0].due <= this.now) queue.shift()?.deliver()
    }
    await settle()
  }

  /** Break the connection. Everything in flight is lost, although the authority may have received it. */
  cut(): void {
    this.connected = this.joined = false
    for (const parcel of [...this.up.splice(0), ...this.down.splice(0)]) parcel.lose()
  }

  private answer(event: keyof Requests, payload: unknown): unknown {
    if (event === "open") {
      this.joined = true
      return this.authority.open((payload as Requests["open"][0]).revision)
    }
    if (event !== "edit") return { ok: true }
    const edit = payload as Requests["edit"][0]
    this.pushes.push(edit)
    const refused = this.refuseNext
    this.refuseNext = null
    return refused ?? this.authority.edit(edit)
  }

  private queue(queue: Parcel[], deliver: () => void, lose: () => void = () => undefined): void {
    // A socket keeps its order, so no parcel overtakes an earlier one.
    const due = Math.max(queue.at(-1)?.due ?? 0, this.now + this.latency())
    queue.push({ due, deliver, lose })
  }
}

/** Let promises and the in-memory IndexedDB, which works in macrotasks, settle. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 6; turn++) await new Promise((resolve) => setImmediate(resolve))
}

/** Return a random latency of at most `turns` turns. */
export function latencyUpTo(turns: number, random: Random): () => number {
  return () => random.below(turns + 1)
}
