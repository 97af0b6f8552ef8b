/** Push rules: how many updates fit into a push, which refusals are final, and random client ids. */

import type { ErrorCode, PushedUpdate } from "./protocol.ts"

/** The most JSON characters in one push: below 256 KiB in any encoding. An update of `UPDATE_UNITS` may have more
 * because of escapes; it is then pushed alone. */
const PUSH_CHARACTERS = 40_000

/** The most updates in one push: far below the server's limit, also when many updates lie between. */
const PUSH_UPDATES = 200

/** The errors after which the same push would fail again. */
const HOPELESS: ReadonlySet<ErrorCode> = new Set(["invalid", "behind", "too_large", "unknown_draft"])

export function isHopeless(code: ErrorCode): boolean {
  return HOPELESS.has(code)
}

/** Return how many of `updates` go into one push: as many as fit, and at least one. */
export function pushCount(updates: readonly PushedUpdate[]): number {
  let room = PUSH_CHARACTERS
  const fit = updates.slice(0, PUSH_UPDATES).findIndex((update) => (room -= JSON.stringify(update).length) < 0)
  return fit < 0 ? Math.min(updates.length, PUSH_UPDATES) : Math.max(1, fit)
}

/** Return 128 random bits as 32 hexadecimal digits. */
export function randomId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16))
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("")
}
