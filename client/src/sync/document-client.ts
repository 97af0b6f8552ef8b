/** One draft's document, kept equal to the server's: opens it, applies what comes, pushes what the user wrote.
 *
 * One push in flight; own updates are confirmed only by the stream; a gap has one remedy, to open again. What the
 * user wrote is in the journal before it is sent. Knows nothing of the DOM: the editor is a `DocumentHost`. */

import type { EditorState, TransactionSpec } from "@codemirror/state"
import type { Journal } from "./journal.ts"
import {
  type AuthorRun,
  type Channel,
  LostAnswer,
  type OpenedSnapshot,
  type OpenedUpdates,
  type UpdatesEvent,
  type WireError,
  type WireUpdate,
} from "./protocol.ts"
import { isHopeless, pushCount, randomId } from "./push.ts"
import { clientLock, replayAbandoned } from "./replay.ts"
import { insertedText, type LocalUpdate, parseUpdate, receive, toWire, versioned } from "./versioned.ts"

export interface Snapshot {
  readonly text: string
  readonly authors: readonly AuthorRun[]
  readonly revision: number
}

/** The editor, as far as the document's client needs it. */
export interface DocumentHost {
  readonly state: EditorState
  /** Whether an IME is composing: then the text around the caret must not move. */
  readonly composing: boolean
  /** Starts over with another text; the undo history goes. */
  load(snapshot: Snapshot): void
  apply(spec: TransactionSpec): void
}

export interface DocumentEvents {
  /** After every successful open. */
  opened(answer: OpenedSnapshot | OpenedUpdates): void
  /** Whenever `unsaved` or `live` may have changed. */
  changed(): void
  /** Text that could not be merged any more is in the journal's recovered texts. */
  recovered(): void
  /** The server refuses the draft for good, for instance because it was deleted. */
  refused(error: WireError): void
}

/** How long a confirmation may take after its ack before the document is opened again. */
const CONFIRMATION_MS = 5_000
const RETRY_MS = 1_000
const SEEN_MS = 250
/** A composition without an edit for this long doesn't hold up others any more (Android composes every word). */
const COMPOSITION_IDLE_MS = 3_000
const HOLD_RENEWAL_MS = 600

export class DocumentClient {
  readonly client = randomId()
  /** Whether the document is open on the present connection. */
  live = false
  /** Whether unconfirmed updates outlive the page. */
  keptOnDevice: boolean
  private loaded = false
  private wantsSnapshot = true
  private closed = false
  private opening = false
  private pushing = false
  /** Something to push may have come up since the running push looked. */
  private pushAgain = false
  /** Counts disconnections: what was asked before one says nothing about the connection after it. */
  private disconnections = 0
  /** Number of local updates that are in the journal; only those are sent. */
  private kept = 0
  private keeping: Promise<void> = Promise.resolve()
  private lastEdit = 0
  private readonly arrived: UpdatesEvent[] = []
  private readonly waiters = new Set<() => void>()
  private readonly timers = new Map<string, ReturnType<typeof setTimeout>>()
  private releaseLock: () => void = () => undefined

  constructor(
    readonly draft: string,
    private readonly host: DocumentHost,
    private readonly channel: Channel,
    private readonly journal: Journal,
    private readonly events: DocumentEvents,
  ) {
    this.keptOnDevice = journal.durable
    const released = new Promise<void>((resolve) => (this.releaseLock = resolve))
    void globalThis.navigator?.locks?.request(clientLock(this.client), () => released)
  }

  /** Number of updates the server has not confirmed. */
  get unsaved(): number {
    return this.loaded ? versioned.of(this.host.state).unconfirmed.length : 0
  }

  get revision(): number {
    return versioned.of(this.host.state).revision
  }

  /** The connection is there (again). */
  connected(): void {
    void this.open()
  }

  disconnected(): void {
    this.disconnections++
    this.live = false
    this.settle()
  }

  /** The user changed the text. */
  edited(): void {
    this.lastEdit = Date.now()
    this.settle()
    void this.keep().then(() => this.push())
    if (this.host.composing) this.composing()
  }

  /** Called while an IME composes, and once after it ended. */
  composing(): void {
    const composing = this.isHeldByIme()
    if (this.live) this.channel.hint("hold", { draft: this.draft, composing })
    if (composing) this.later("hold", HOLD_RENEWAL_MS, () => this.composing())
    else {
      this.flush()
      void this.push()
    }
  }

  receive(event: UpdatesEvent): void {
    if (!this.live && !this.opening) return
    this.arrived.push(event)
    this.flush()
  }

  /** Resolves when everything written so far is confirmed; answers false if that takes longer than `limit` ms. */
  async settled(limit: number): Promise<boolean> {
    const deadline = Date.now() + limit
    while (this.unsaved > 0 && Date.now() < deadline && !this.closed) await this.change(deadline - Date.now())
    return this.unsaved === 0
  }

  /** Stops. What is unconfirmed stays in the journal, where the next page to open the draft finds it. */
  close(): void {
    this.closed = true
    if (this.live) void this.channel.request("close", { draft: this.draft }).catch(ignoreLost)
    this.live = false
    for (const timer of this.timers.values()) clearTimeout(timer)
    this.settle()
    this.releaseLock()
  }

  private async open(): Promise<void> {
    if (this.opening || this.closed || !this.channel.connected) return
    this.opening = true
    this.live = false
    const { disconnections } = this
    try {
      if (!this.loaded) await this.replay()
      const revision = this.wantsSnapshot ? {} : { revision: this.revision }
      const answer = await this.channel.request("open", { draft: this.draft, ...revision })
      if (this.closed) return
      if (answer.ok) {
        await this.enter(answer)
        this.live = disconnections === this.disconnections
        if (!this.live) this.later("open", 0, () => void this.open())
      } else if (isHopeless(answer.error.code)) this.events.refused(answer.error)
      else this.later("open", RETRY_MS, () => void this.open())
    } catch (error) {
      ignoreLost(error)
      this.later("open", RETRY_MS, () => void this.open())
    } finally {
      this.opening = false
    }
    this.flush()
    this.seen()
    this.settle()
    void this.push()
  }

  private async replay(): Promise<void> {
    await replayAbandoned(this.draft, this.journal, this.channel)
    this.events.recovered()
  }

  private async enter(answer: OpenedSnapshot | OpenedUpdates): Promise<void> {
    if ("updates" in answer) {
      const { updates } = answer
      this.arrived.unshift({ draft: this.draft, revision: answer.revision - updates.length, epoch: answer.epoch, updates })
    } else {
      const lost = this.loaded ? versioned.of(this.host.state).unconfirmed : []
      this.host.load(answer)
      this.loaded = true
      this.wantsSnapshot = false
      await this.recover(lost)
    }
    this.events.opened(answer)
  }

  /** Sets text aside, visibly, that can't be merged any more. */
  private async recover(lost: readonly LocalUpdate[]): Promise<void> {
    if (lost.length === 0) return
    const text = insertedText(lost)
    if (text) await this.journal.keepRecovered({ id: randomId(), draft: this.draft, text })
    if (this.unsaved === 0) await this.journal.clear(this.draft, this.client)
    this.events.recovered()
  }

  /** Applies what has arrived, in order, unless an IME composes. */
  private flush(): void {
    if (!this.live || this.isHeldByIme()) return
    const fresh: WireUpdate[] = []
    let revision = this.revision
    for (const event of this.arrived.splice(0)) {
      if (event.revision > revision) {
        this.apply(fresh)
        void this.open()
        return
      }
      const news = event.updates.slice(revision - event.revision)
      fresh.push(...news)
      revision += news.length
    }
    this.apply(fresh)
  }

  private apply(updates: readonly WireUpdate[]): void {
    if (updates.length === 0) return
    this.host.apply(receive(this.host.state, this.client, updates.map(parseUpdate)))
    if (this.unsaved === 0) void this.journal.clear(this.draft, this.client)
    this.later("seen", SEEN_MS, () => this.seen(), "keep")
    this.settle()
  }

  private seen(): void {
    if (this.live) this.channel.hint("seen", { draft: this.draft, revision: this.revision })
  }

  private isHeldByIme(): boolean {
    return this.host.composing && Date.now() - this.lastEdit < COMPOSITION_IDLE_MS
  }

  /** Resolves when every local update there is now is in the journal. */
  private keep(): Promise<void> {
    this.keeping = this.keeping.then(() => this.writeJournal())
    return this.keeping
  }

  private async writeJournal(): Promise<void> {
    const { revision, unconfirmed, made } = versioned.of(this.host.state)
    if (made === this.kept) return
    if (unconfirmed.length) {
      const updates = unconfirmed.map(toWire)
      try {
        await this.journal.save({ draft: this.draft, client: this.client, revision, updates })
      } catch (error) {
        // A full or broken disk must not keep the text from the server.
        console.warn("Unsent edits cannot be kept on this device:", error)
        this.keptOnDevice = false
      }
    }
    this.kept = made
  }

  private async push(): Promise<void> {
    this.pushAgain = true
    if (this.pushing) return
    this.pushing = true
    try {
      while (this.pushAgain) {
        this.pushAgain = false
        while (await this.pushOnce());
      }
    } catch (error) {
      ignoreLost(error)
      // It may have arrived or not: what is unconfirmed after opening again is sent again.
      this.later("open", RETRY_MS, () => void this.open())
    } finally {
      this.pushing = false
    }
  }

  private async pushOnce(): Promise<boolean> {
    if (!this.live || this.isHeldByIme()) return false
    const { revision, unconfirmed, made } = versioned.of(this.host.state)
    const safe = unconfirmed.slice(0, Math.max(0, unconfirmed.length - (made - this.kept))).map(toWire)
    if (safe.length === 0) return false
    const updates = safe.slice(0, pushCount(safe))
    const answer = await this.channel.request("edit", { draft: this.draft, revision, client: this.client, updates })
    if (answer.ok) return this.confirmation(answer.revision)
    if (!isHopeless(answer.error.code)) this.later("push", RETRY_MS, () => void this.push())
    else {
      // The server will never take it: the snapshot that is asked for now sets it aside.
      this.wantsSnapshot = true
      void this.open()
    }
    return false
  }

  /** Waits for the stream to reach an acked revision; opens the document again if it doesn't. */
  private async confirmation(revision: number): Promise<boolean> {
    const deadline = Date.now() + CONFIRMATION_MS
    while (this.live && this.revision < revision) {
      if (Date.now() >= deadline && !this.isHeldByIme()) {
        void this.open()
        return false
      }
      await this.change(CONFIRMATION_MS)
    }
    return this.live
  }


  private settle(): void {
    for (const waiter of this.waiters) waiter()
    this.events.changed()
  }

  /** Resolves at the next change of anything, or after `limit` ms. */
  private change(limit: number): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer)
        this.waiters.delete(done)
        resolve()
      }
      const timer = setTimeout(done, limit)
      this.waiters.add(done)
    })
  }

  /** One timer per name: a second one replaces the first, or with `keep` is dropped. */
  private later(name: string, ms: number, act: () => void, mode: "replace" | "keep" = "replace"): void {
    if (this.closed || (mode === "keep" && this.timers.has(name))) return
    clearTimeout(this.timers.get(name))
    this.timers.set(
      name,
      setTimeout(() => {
        this.timers.delete(name)
        act()
      }, ms),
    )
  }
}

function ignoreLost(error: unknown): void {
  if (!(error instanceof LostAnswer)) throw error
}
