/** Document client: keeps the text of one draft equal to the server's.
 *
 * Owns opening a draft and applying its updates; a gap in the stream is closed by opening the draft again. Text that
 * cannot be merged is set aside, never dropped. Knows nothing of the DOM: the editor is a `DocumentHost`. */

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
import { Presence, type PresenceOwner } from "./presence.ts"
import { isHopeless, randomId } from "./push.ts"
import { clientLock, replayAbandoned } from "./replay.ts"
import { Signal, Timers } from "./timers.ts"
import { insertedText, type LocalUpdate, parseUpdate, receive, versioned } from "./versioned.ts"

export interface Snapshot {
  readonly text: string
  readonly authors: readonly AuthorRun[]
  readonly revision: number
}

/** The part of the editor that the document client needs. */
export interface DocumentHost {
  readonly state: EditorState
  /** Whether an IME is composing. The text around the caret must not move meanwhile. */
  readonly composing: boolean
  /** Replace the text and drop the undo history. */
  load(snapshot: Snapshot): void
  apply(spec: TransactionSpec): void
}

export interface DocumentEvents {
  /** Called after every successful open. */
  opened(answer: OpenedSnapshot | OpenedUpdates): void
  /** Called whenever `unsaved` or `live` may have changed. */
  changed(): void
  /** Called when text that cannot be merged has been added to the journal's recovered texts. */
  recovered(): void
  /** Called when the server refuses the draft for good, for instance because the draft was deleted. */
  refused(error: WireError): void
}

const RETRY_MS = 1_000

export class DocumentClient implements OutboxOwner, PresenceOwner {
  readonly client = randomId()
  /** Whether the document is open on the present connection. */
  live = false
  private loaded = false
  private wantsSnapshot = true
  private closed = false
  private opening = false
  /** The number of disconnections: an answer from before a disconnection says nothing about the next connection. */
  private disconnections = 0
  /** Events that have not been applied. */
  private readonly arrived: UpdatesEvent[] = []
  private readonly changed = new Signal()
  private readonly timers = new Timers()
  private readonly outbox: Outbox
  private readonly presence: Presence
  private releaseLock: () => void = () => undefined

  constructor(
    readonly draft: string,
    private readonly host: DocumentHost,
    private readonly channel: Channel,
    private readonly journal: Journal,
    private readonly events: DocumentEvents,
  ) {
    this.outbox = new Outbox(this, channel, journal, this.changed, this.timers)
    this.presence = new Presence(this, channel, this.timers, () => this.released())
    const released = new Promise<void>((resolve) => (this.releaseLock = resolve))
    void globalThis.navigator?.locks?.request(clientLock(this.client), () => released)
  }

  get state(): EditorState {
    return this.host.state
  }

  /** The number of updates that the server has not confirmed. */
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

  get isComposing(): boolean {
    return this.host.composing
  }

  /** Whether an IME composes and the text is therefore neither sent nor changed. */
  get held(): boolean {
    return this.presence.held
  }

  /** Open the draft on a new connection. */
  connected(): void {
    void this.open()
  }

  disconnected(): void {
    this.disconnections++
    this.live = false
    this.notify()
  }

  /** Take up a change that the user made to the text. */
  edited(): void {
    this.presence.edited()
    this.notify()
    this.outbox.edited()
    if (this.isComposing) this.composing()
  }

  /** Report a composition: call this while an IME composes, and once after it has ended. */
  composing(): void {
    this.presence.reportHold()
  }

  receive(event: UpdatesEvent): void {
    if (!this.live && !this.opening) return
    this.arrived.push(event)
    this.applyArrived()
  }

  /** Open the draft again. With `snapshot`, the unconfirmed updates are set aside. */
  reopen(how: "updates" | "snapshot"): void {
    if (how === "snapshot") this.wantsSnapshot = true
    void this.open()
  }

  /** Wait up to `limit` ms until every update is confirmed. Return whether every update is. */
  async settled(limit: number): Promise<boolean> {
    const deadline = Date.now() + limit
    while (this.unsaved > 0 && Date.now() < deadline && !this.closed) await this.changed.next(deadline - Date.now())
    return this.unsaved === 0
  }

  /** Stop. Unconfirmed updates stay in the journal; they are replayed once the client lock is free. */
  close(): void {
    this.closed = true
    if (this.live) void this.channel.request("close", { draft: this.draft }).catch(ignoreLost)
    this.live = false
    this.timers.stop()
    this.notify()
    this.releaseLock()
  }

  private released(): void {
    this.applyArrived()
    void this.outbox.push()
  }

  private async open(): Promise<void> {
    if (this.opening || this.closed || !this.channel.connected) return
    this.opening = true
    this.live = false
    try {
      await this.requestDocument()
    } catch (error) {
      ignoreLost(error)
      this.timers.after("open", RETRY_MS, () => void this.open())
    } finally {
      this.opening = false
    }
    this.applyArrived()
    this.presence.reportSeen()
    this.notify()
    void this.outbox.push()
  }

  /** Request the document and take it over. Rejects with LostAnswer. */
  private async requestDocument(): Promise<void> {
    const { disconnections } = this
    if (!this.loaded) {
      await replayAbandoned(this.draft, this.journal, this.channel)
      this.events.recovered()
    }
    const revision = this.wantsSnapshot ? {} : { revision: this.revision }
    const answer = await this.channel.request("open", { draft: this.draft, ...revision })
    if (this.closed) return
    if (answer.ok) {
      await this.takeOver(answer)
      this.live = disconnections === this.disconnections && !this.closed
      if (!this.live) this.timers.after("open", 0, () => void this.open())
    } else if (isHopeless(answer.error.code)) this.events.refused(answer.error)
    else this.timers.after("open", RETRY_MS, () => void this.open())
  }

  private async takeOver(answer: OpenedSnapshot | OpenedUpdates): Promise<void> {
    if ("updates" in answer) {
      const { updates, epoch } = answer
      this.arrived.unshift({ draft: this.draft, revision: answer.revision - updates.length, epoch, updates })
    } else {
      const lost = this.loaded ? versioned.of(this.state).unconfirmed : []
      this.host.load(answer)
      this.loaded = true
      this.wantsSnapshot = false
      await this.setAside(lost)
    }
    if (!this.closed) this.events.opened(answer)
  }

  /** Keep text that cannot be merged as a recovered text, which the page shows. */
  private async setAside(lost: readonly LocalUpdate[]): Promise<void> {
    if (lost.length === 0) return
    const text = insertedText(lost)
    if (text) await this.journal.keepRecovered({ id: randomId(), draft: this.draft, text })
    if (this.unsaved === 0) await this.journal.clear(this.draft, this.client)
    this.events.recovered()
  }

  /** Apply the events that have arrived, in order, unless an IME composes. */
  private applyArrived(): void {
    if (!this.live || this.held) return
    const fresh: WireUpdate[] = []
    let revision = this.revision
    for (const event of this.arrived.splice(0)) {
      if (event.revision > revision) {
        this.apply(fresh)
        void this.open()
        return
      }
      const unknown = event.updates.slice(revision - event.revision)
      fresh.push(...unknown)
      revision += unknown.length
    }
    this.apply(fresh)
  }

  private apply(updates: readonly WireUpdate[]): void {
    if (updates.length === 0) return
    this.host.apply(receive(this.state, this.client, updates.map(parseUpdate)))
    if (this.unsaved === 0) this.outbox.emptied()
    this.presence.shown(updates.reduce((sum, { tokens }) => sum + (tokens?.length ?? 0), 0))
    this.notify()
  }

  private notify(): void {
    this.changed.notify()
    this.events.changed()
  }
}

function ignoreLost(error: unknown): void {
  if (!(error instanceof LostAnswer)) throw error
}
