/** Sends what a page that is gone had written and not got confirmed, under its old client id and revision.
 *
 * A page holds a Web Lock named after each of its clients, so a record whose lock is free has lost its owner. Where
 * there are no Web Locks a living page's record may be replayed too; the server knows the updates by client and
 * count, so nothing is applied twice. */

import type { Journal, JournalRecord } from "./journal.ts"
import type { Channel } from "./protocol.ts"
import { isHopeless, pushCount, randomId } from "./push.ts"
import { advance, fromWire, insertedText, type LocalUpdate, parseUpdate, toWire, type Versioned } from "./versioned.ts"

export function clientLock(client: string): string {
  return `storygen-client-${client}`
}

/** Replays every record of `draft`, or of all drafts, whose owner is gone. Rejects with LostAnswer where the connection fails; then
 * the records stay. What the server will never take is kept as recovered text. */
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
  const left = await send({ revision: record.revision, unconfirmed, made: unconfirmed.length }, record, channel)
  if (left === "later") return
  if (left.length) {
    await journal.keepRecovered({ id: randomId(), draft: record.draft, text: insertedText(left) })
  }
  await journal.clearIfUnchanged(record)
}

/** Pushes everything; answers what the server will never take, or that it is to be tried again. */
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
    // The next push starts where this one has been rebased to, or could not be from where it began.
    const opened = await channel.request("open", { draft, revision })
    if (!opened.ok) return isHopeless(opened.error.code) ? unconfirmed : "later"
    if (!("updates" in opened)) return isBehind ? unconfirmed : unconfirmed.slice(count)
    if (isBehind && opened.updates.length === 0) return unconfirmed
    pending = advance(pending, client, opened.updates.map(parseUpdate)).after
    if (pending.unconfirmed.length === 0) return []
  }
}
