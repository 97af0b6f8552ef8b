/** Outbox: sends the user's updates, first into the journal and then to the server, one push at a time.
 *
 * An acknowledged push counts as confirmed only once the stream of updates returns it. Knows nothing of other writers'
 * updates. */

import type { EditorState } from "@codemirror/state"
import type { Journal } from "./journal.ts"
import { type Channel, LostAnswer } from "./protocol.ts"
import { isHopeless, pushCount } from "./push.ts"
import type { Signal, Timers } from "./timers.ts"
import { toWire, versioned } from "./versioned.ts"

/** The document that the outbox belongs to. */
export interface OutboxOwner {
  readonly draft: string
  readonly client: string
  /** Whether the document is open on the present connection. */
  readonly live: boolean
  /** Whether an IME composes. Half-composed text is not sent. */
  readonly held: boolean
  readonly state: EditorState
  /** Open the document again. With `snapshot`, the unconfirmed updates are set aside. */
  reopen(how: "updates" | "snapshot"): void
}

/** How long a confirmation may take after the acknowledgement, before the document is opened again. */
const CONFIRMATION_MS = 5_000
const RETRY_MS = 1_000

export class Outbox {
  /** Whether unconfirmed updates outlive the page. */
  keptOnDevice: boolean
  /** The number of local updates, from the first, that are in the journal. Only these are sent. */
  private kept = 0
  private keeping: Promise<void> = Promise.resolve()
  /** Whether the journal may hold a record of this document. */
  private recorded = false
  private pushing = false
  /** Whether there may be more to push than the running push has seen. */
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

  /** Take up new local updates. */
  edited(): void {
    this.keeping = this.keeping.then(() => this.writeJournal())
    void this.keeping.then(() => this.push())
  }

  /** Clear the journal's record: the stream has confirmed every update. */
  emptied(): void {
    if (this.recorded) void this.journal.clear(this.owner.draft, this.owner.client)
    this.recorded = false
  }

  /** Send the updates that are in the journal, while the document is open. */
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
      // The push may have arrived. Updates that are still unconfirmed after the next open are sent again.
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
        console.warn("Unsent changes cannot be kept on this device:", error)
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
    // Too many updates may lie between. Opening again rebases these updates, as far as the server's log reaches.
    if (answer.error.code === "behind") this.owner.reopen("updates")
    else if (isHopeless(answer.error.code)) this.owner.reopen("snapshot")
    else this.timers.after("push", RETRY_MS, () => void this.push())
    return false
  }

  /** Wait until the stream reaches an acknowledged revision, or open the document again. Return whether to go on. */
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
