/** One draft's document, kept equal to the server's: opens it, applies what comes, lets the outbox push.
 *
 * A gap in the stream has one remedy, to open again. Text that can't be merged any more is set aside, never dropped.
 * Knows nothing of the DOM: the editor is a `DocumentHost`. */

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
import { Outbox, type OutboxOwner } from "./outbox.ts"
import { isHopeless, randomId } from "./push.ts"
import { clientLock, replayAbandoned } from "./replay.ts"
import { Signal, Timers } from "./timers.ts"
import { insertedText, type LocalUpdate, parseUpdate, receive, versioned } from "./versioned.ts"

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

const RETRY_MS = 1_000
/** How late the server may hear what was seen; sooner after so many tokens, a quarter of what it lets a model write
 * unseen. */
const SEEN_MS = 3_000
const SEEN_SOON_MS = 250
const MANY_TOKENS = 128
/** A composition without an edit for this long doesn't hold up others any more (Android composes every word). */
const COMPOSITION_IDLE_MS = 3_000
const HOLD_RENEWAL_MS = 600

export class DocumentClient implements OutboxOwner {
  readonly client = randomId()
  /** Whether the document is open on the present connection. */
  live = false
  private loaded = false
  private wantsSnapshot = true
  private closed = false
  private opening = false
  /** Counts disconnections: what was asked before one says nothing about the connection after it. */
  private disconnections = 0
  private lastEdit = 0
  /** Tokens that came since the server heard last what was seen. */
  private unsaid = 0
  private readonly arrived: UpdatesEvent[] = []
  private readonly changed = new Signal()
  private readonly timers = new Timers()
  private readonly outbox: Outbox
  private releaseLock: () => void = () => undefined

  constructor(
    readonly draft: string,
    private readonly host: DocumentHost,
    private readonly channel: Channel,
    private readonly journal: Journal,
    private readonly events: DocumentEvents,
  ) {
    this.outbox = new Outbox(this, channel, journal, this.changed, this.timers)
    const released = new Promise<void>((resolve) => (this.releaseLock = resolve))
    void globalThis.navigator?.locks?.request(clientLock(this.client), () => released)
  }

  get state(): EditorState {
    return this.host.state
  }

  /** Number of updates the server has not confirmed. */
  get unsaved(): number {
    return this.loaded ? versioned.of(this.state).unconfirmed.length : 0
  }

  get revision(): number {
    return versioned.of(this.state).revision
  }

  /** Whether unconfirmed updates outlive the page. */
  get keptOnDevice(): boolean {
    return this.outbox.keptOnDevice
  }

  /** Whether an IME composes, and not just because a phone always does. */
  get held(): boolean {
    return this.host.composing && Date.now() - this.lastEdit < COMPOSITION_IDLE_MS
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
    this.outbox.edited()
    if (this.host.composing) this.composing()
  }

  /** Called while an IME composes, and once after it ended. */
  composing(): void {
    const composing = this.held
    if (this.live) this.channel.hint("hold", { draft: this.draft, composing })
    if (composing) this.timers.after("hold", HOLD_RENEWAL_MS, () => this.composing())
    else {
      this.flush()
      void this.outbox.push()
    }
  }

  receive(event: UpdatesEvent): void {
    if (!this.live && !this.opening) return
    this.arrived.push(event)
    this.flush()
  }

  reopen(how: "updates" | "snapshot"): void {
    if (how === "snapshot") this.wantsSnapshot = true
    void this.open()
  }

  /** Resolves when everything written so far is confirmed; answers false if that takes longer than `limit` ms. */
  async settled(limit: number): Promise<boolean> {
    const deadline = Date.now() + limit
    while (this.unsaved > 0 && Date.now() < deadline && !this.closed) await this.changed.next(deadline - Date.now())
    return this.unsaved === 0
  }

  /** Stops. What is unconfirmed stays in the journal, from where it is sent when its owner is gone. */
  close(): void {
    this.closed = true
    if (this.live) void this.channel.request("close", { draft: this.draft }).catch(ignoreLost)
    this.live = false
    this.timers.stop()
    this.settle()
    this.releaseLock()
  }

  private async open(): Promise<void> {
    if (this.opening || this.closed || !this.channel.connected) return
    this.opening = true
    this.live = false
    try {
      await this.ask()
    } catch (error) {
      ignoreLost(error)
      this.timers.after("open", RETRY_MS, () => void this.open())
    } finally {
      this.opening = false
    }
    this.flush()
    this.seen()
    this.settle()
    void this.outbox.push()
  }

  /** Asks the server for the document and takes it over. Rejects with LostAnswer. */
  private async ask(): Promise<void> {
    const { disconnections } = this
    if (!this.loaded) {
      await replayAbandoned(this.draft, this.journal, this.channel)
      this.events.recovered()
    }
    const revision = this.wantsSnapshot ? {} : { revision: this.revision }
    const answer = await this.channel.request("open", { draft: this.draft, ...revision })
    if (this.closed) return
    if (answer.ok) {
      await this.enter(answer)
      this.live = disconnections === this.disconnections && !this.closed
      if (!this.live) this.timers.after("open", 0, () => void this.open())
    } else if (isHopeless(answer.error.code)) this.events.refused(answer.error)
    else this.timers.after("open", RETRY_MS, () => void this.open())
  }

  private async enter(answer: OpenedSnapshot | OpenedUpdates): Promise<void> {
    if ("updates" in answer) {
      const { updates, epoch } = answer
      this.arrived.unshift({ draft: this.draft, revision: answer.revision - updates.length, epoch, updates })
    } else {
      const lost = this.loaded ? versioned.of(this.state).unconfirmed : []
      this.host.load(answer)
      this.loaded = true
      this.wantsSnapshot = false
      await this.recover(lost)
    }
    if (!this.closed) this.events.opened(answer)
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
    if (!this.live || this.held) return
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
    this.host.apply(receive(this.state, this.client, updates.map(parseUpdate)))
    if (this.unsaved === 0) this.outbox.emptied()
    this.sayWhatIsSeen(updates.reduce((sum, { tokens }) => sum + (tokens?.length ?? 0), 0))
    this.settle()
  }

  private sayWhatIsSeen(tokens: number): void {
    const hadMany = this.unsaid >= MANY_TOKENS
    this.unsaid += tokens
    if (!hadMany && this.unsaid >= MANY_TOKENS) this.timers.after("seen", SEEN_SOON_MS, () => this.seen())
    else this.timers.within("seen", SEEN_MS, () => this.seen())
  }

  private seen(): void {
    this.unsaid = 0
    if (this.live) this.channel.hint("seen", { draft: this.draft, revision: this.revision })
  }

  private settle(): void {
    this.changed.notify()
    this.events.changed()
  }
}

function ignoreLost(error: unknown): void {
  if (!(error instanceof LostAnswer)) throw error
}
