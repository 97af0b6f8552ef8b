/** Replay: sends the unconfirmed updates of closed pages, under their old client ids and revisions.
 *
 * A page holds a Web Lock for each of its clients, so a record whose lock is free has lost its page. Without Web Locks
 * the record of an open page may be replayed too. The server recognises updates by client and count, so it applies
 * none of them twice. */

import type { Journal, JournalRecord } from "./journal.ts"
import type { Channel } from "./protocol.ts"
import { isHopeless, pushCount, randomId } from "./push.ts"
import { advance, fromWire, insertedText, type LocalUpdate, parseUpdate, toWire, type Versioned } from "./versioned.ts"

export function clientLock(client: string): string {
  return `storygen-client-${client}`
}

/** Replay every record of `draft`, or of all drafts, whose page is gone. Updates that the server refuses for good are
 * kept as recovered text. Rejects with LostAnswer if the connection fails; the records then stay. */
export async function replayAbandoned(
  draft: string | undefined,
  journal: Journal,
  channel: Channel,
  locks: LockManager | undefined = globalThis.navigator?.locks,
): Promise<void> {
  for (const record of await journal.records(draft)) {
    if (!locks) await replay(record, journal, channel)
    else {
      await locks.request(clientLock(record.client), { ifAvailable: true }, async (lock) => {
        if (lock) await replay(record, journal, channel)
      })
    }
  }
}

async function replay(record: JournalRecord, journal: Journal, channel: Channel): Promise<void> {
  const unconfirmed = record.updates.map(fromWire)
  const refused = await send({ revision: record.revision, unconfirmed, made: unconfirmed.length }, record, channel)
  if (refused === "later") return
  if (refused.length) {
    await journal.keepRecovered({ id: randomId(), draft: record.draft, text: insertedText(refused) })
  }
  await journal.clearIfUnchanged(record)
}

/** Push every update. Return the updates that the server refuses for good, or `later` to try again another time. */
async function send(
  pending: Versioned,
  { draft, client }: JournalRecord,
  channel: Channel,
): Promise<readonly LocalUpdate[] | "later"> {
  for (;;) {
    const { revision, unconfirmed } = pending
    const updates = unconfirmed.map(toWire)
    const count = pushCount(updates)
    const answer = await channel.request("edit", { draft, revision, client, updates: updates.slice(0, count) })
    if (answer.ok && count === updates.length) return []
    const isBehind = !answer.ok && answer.error.code === "behind"
    if (!answer.ok && !isBehind) return isHopeless(answer.error.code) ? unconfirmed : "later"
    // Rebase the remaining updates first: this push held only some of them, or its revision was too old.
    const opened = await channel.request("open", { draft, revision })
    if (!opened.ok) return isHopeless(opened.error.code) ? unconfirmed : "later"
    if (!("updates" in opened)) return isBehind ? unconfirmed : unconfirmed.slice(count)
    if (isBehind && opened.updates.length === 0) return unconfirmed
    pending = advance(pending, client, opened.updates.map(parseUpdate)).after
    if (pending.unconfirmed.length === 0) return []
  }
}
