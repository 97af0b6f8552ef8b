/** Presence: the hints a page sends about its reader, namely how far the text is shown and whether an IME composes.
 *
 * Owns the timing of both hints. Knows nothing of the text. */

import type { Channel } from "./protocol.ts"
import type { Timers } from "./timers.ts"

/** The document that the hints are about. */
export interface PresenceOwner {
  readonly draft: string
  /** Whether the document is open on the present connection. */
  readonly live: boolean
  readonly revision: number
  /** Whether an IME is composing. */
  readonly isComposing: boolean
}

/** The longest delay of a `seen` hint. */
const SEEN_MS = 3_000
/** The delay once this many tokens are unreported: a quarter of the tokens a model may write unseen. */
const SEEN_SOON_MS = 250
const MANY_TOKENS = 128
/** A composition without an edit for this long no longer holds the model: Android composes every word. */
const COMPOSITION_IDLE_MS = 3_000
const HOLD_RENEWAL_MS = 600

export class Presence {
  private lastEdit = 0
  /** Tokens shown since the last `seen` hint. */
  private unreported = 0

  constructor(
    private readonly owner: PresenceOwner,
    private readonly channel: Channel,
    private readonly timers: Timers,
    private readonly onReleased: () => void,
  ) {}

  /** Whether a composition is going on, with a recent edit. */
  get held(): boolean {
    return this.owner.isComposing && Date.now() - this.lastEdit < COMPOSITION_IDLE_MS
  }

  /** Note an edit of the user. */
  edited(): void {
    this.lastEdit = Date.now()
  }

  /** Tell the server whether the document is held, again and again while it is; call `onReleased` once it is not. */
  reportHold(): void {
    const composing = this.held
    if (this.owner.live) this.channel.hint("hold", { draft: this.owner.draft, composing })
    if (composing) this.timers.after("hold", HOLD_RENEWAL_MS, () => this.reportHold())
    else this.onReleased()
  }

  /** Note that `tokens` more tokens are shown, and report it soon. */
  shown(tokens: number): void {
    const hadMany = this.unreported >= MANY_TOKENS
    this.unreported += tokens
    if (!hadMany && this.unreported >= MANY_TOKENS) this.timers.after("seen", SEEN_SOON_MS, () => this.reportSeen())
    else this.timers.within("seen", SEEN_MS, () => this.reportSeen())
  }

  /** Tell the server the revision that is shown now. */
  reportSeen(): void {
    this.unreported = 0
    const { draft, live, revision } = this.owner
    if (live) this.channel.hint("seen", { draft, revision })
  }
}
