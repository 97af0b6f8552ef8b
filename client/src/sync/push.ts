/** The rules of a push: how much fits, which refusals are final, and the id it is sent under. */

import type { ErrorCode, PushedUpdate } from "./protocol.ts"

/** JSON of the updates in one push, in characters: below 256 KiB in any encoding. An update of
 * `UPDATE_UNITS` may be larger in escapes; it then goes alone. */
const PUSH_CHARACTERS = 40_000

/** Updates in one push: far below what the server takes at once, also where much has changed since. */
const PUSH_UPDATES = 200

/** Answers after which sending the same again can't help. */
const HOPELESS: ReadonlySet<ErrorCode> = new Set(["invalid", "behind", "too_large", "unknown_draft"])

export function isHopeless(code: ErrorCode): boolean {
  return HOPELESS.has(code)
}

/** How many of `updates` go into one push: those that fit, and at least one. */
export function pushCount(updates: readonly PushedUpdate[]): number {
  let room = PUSH_CHARACTERS
  const fit = updates.slice(0, PUSH_UPDATES).findIndex((update) => (room -= JSON.stringify(update).length) < 0)
  return fit < 0 ? Math.min(updates.length, PUSH_UPDATES) : Math.max(1, fit)
}

/** 128 random bits, as 32 hexadecimal digits. */
export function randomId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16))
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("")
}
