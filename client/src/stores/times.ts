/** Times: the time at which a part of the text was written, in words. */

import type { TimeRun } from "../sync/protocol.ts"

/** Describe the time of the unit at `at`. `times` are the server's last answer; text after them is newer. */
export function whenWritten(times: readonly TimeRun[], at: number, now: Date, locale?: string): string {
  for (const [length, seconds] of times) {
    if (at < length) return seconds === null ? "at the beginning" : clock(new Date(seconds * 1000), now, locale)
    at -= length
  }
  return "just now"
}

/** Return the time of day, with the date unless it is today. */
function clock(then: Date, now: Date, locale?: string): string {
  const time = { hour: "2-digit", minute: "2-digit" } as const
  const day = {
    day: "numeric",
    month: "short",
    ...(then.getFullYear() !== now.getFullYear() && { year: "numeric" }),
  } as const
  const isToday = then.toDateString() === now.toDateString()
  return new Intl.DateTimeFormat(locale, isToday ? time : { ...day, ...time }).format(then)
}
