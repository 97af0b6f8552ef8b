/** The way of the user's updates to the server: first into the journal, then in pushes, one at a time.
 *
 * A push that was acked is confirmed only when the stream brings it back. Knows nothing of what arrives otherwise. */

import type { EditorState } from "@codemirror/state"
import type { Journal } from "./journal.ts"
import { type Channel, LostAnswer } from "./protocol.ts"
import { isHopeless, pushCount } from "./push.ts"
import type { Signal, Timers } from "./timers.ts"
import { toWire, versioned } from "./versioned.ts"

/** What the outbox asks of the document it belongs to. */
export interface OutboxOwner {
  readonly draft: string
  readonly client: string
  /** Whether the document is open on the present connection. */
  readonly live: boolean
  /** Whether an IME composes: what is half composed isn't sent. */
  readonly held: boolean
  readonly state: EditorState
  /** Opens the document again; with `snapshot`, what is unconfirmed is set aside. */
  reopen(how: "updates" | "snapshot"): void
}

/** How long a confirmation may take after its ack before the document is opened again. */
const CONFIRMATION_MS = 5_000
const RETRY_MS = 1_000

export class Outbox {
  /** Whether unconfirmed updates outlive the page. */
  keptOnDevice: boolean
  /** Number of local updates, since the beginning, that are in the journal; only those are sent. */
  private kept = 0
  private keeping: Promise<void> = Promise.resolve()
  /** Whether the journal may hold a record of ours. */
  private recorded = false
  private pushing = false
  /** Something to push may have come up since the running push looked. */
  private pushAgain = false

  constructor(
    private readonly owner: OutboxOwner,
    private readonly channel: Channel,
    private readonly journal: Journal,
    private readonly changed: Signal,
    private readonly timers: Timers,
  ) {
    this.keptOnDevice = journal.durable
  }

  /** Takes up new local updates. */
  edited(): void {
    this.keeping = this.keeping.then(() => this.writeJournal())
    void this.keeping.then(() => this.push())
  }

  /** The stream confirmed everything. */
  emptied(): void {
    if (this.recorded) void this.journal.clear(this.owner.draft, this.owner.client)
    this.recorded = false
  }

  /** Sends what there is, as far as the document is open. */
  async push(): Promise<void> {
    this.pushAgain = true
    if (this.pushing) return
    this.pushing = true
    try {
      while (this.pushAgain) {
        this.pushAgain = false
        while (await this.pushOnce());
      }
    } catch (error) {
      if (!(error instanceof LostAnswer)) throw error
      // It may have arrived or not: what is unconfirmed after opening again is sent again.
      this.timers.after("open", RETRY_MS, () => this.owner.reopen("updates"))
    } finally {
      this.pushing = false
    }
  }

  private async writeJournal(): Promise<void> {
    const { draft, client, state } = this.owner
    const { revision, unconfirmed, made } = versioned.of(state)
    if (made === this.kept) return
    if (unconfirmed.length) {
      this.recorded = true
      try {
        await this.journal.save({ draft, client, revision, updates: unconfirmed.map(toWire) })
      } catch (error) {
        // A full or broken disk must not keep the text from the server.
        console.warn("Unsent edits cannot be kept on this device:", error)
        this.keptOnDevice = false
      }
    }
    this.kept = made
  }

  private async pushOnce(): Promise<boolean> {
    const { draft, client, live, held, state } = this.owner
    if (!live || held) return false
    const { revision, unconfirmed, made } = versioned.of(state)
    const safe = unconfirmed.slice(0, Math.max(0, unconfirmed.length - (made - this.kept))).map(toWire)
    if (safe.length === 0) return false
    const updates = safe.slice(0, pushCount(safe))
    const answer = await this.channel.request("edit", { draft, revision, client, updates })
    if (answer.ok) return this.confirmation(answer.revision)
    // Too much may have changed for these edits as they are; what the log still tells, they can be brought over.
    if (answer.error.code === "behind") this.owner.reopen("updates")
    else if (isHopeless(answer.error.code)) this.owner.reopen("snapshot")
    else this.timers.after("push", RETRY_MS, () => void this.push())
    return false
  }

  /** Waits for the stream to reach an acked revision; opens the document again if it doesn't. */
  private async confirmation(revision: number): Promise<boolean> {
    const deadline = Date.now() + CONFIRMATION_MS
    while (this.owner.live && versioned.of(this.owner.state).revision < revision) {
      if (Date.now() >= deadline && !this.owner.held) {
        this.owner.reopen("updates")
        return false
      }
      await this.changed.next(CONFIRMATION_MS)
    }
    return this.owner.live
  }
}
