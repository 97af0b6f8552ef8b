/** Times: the words for the time at which a part of the text was written. */

import { expect, test } from "vitest"
import { whenWritten } from "../../src/stores/times.ts"

const NOW = new Date(2026, 10, 22, 18, 30)
const at = (...date: [number, number, number, number, number]) => new Date(...date).getTime() / 1000
const TIMES = [
  [5, null],
  [3, at(2025, 10, 22, 9, 5)],
  [2, at(2026, 10, 21, 14, 5)],
  [1, at(2026, 10, 22, 14, 6)],
] as const

test("each offset has the time of its run, and newer text is just now", () => {
  const told = [0, 4, 5, 7, 8, 9, 10, 11, 500].map((place) => whenWritten(TIMES, place, NOW, "en-GB"))
  expect(told).toEqual([
    ...["at the beginning", "at the beginning", "22 Nov 2025, 09:05", "22 Nov 2025, 09:05"],
    ...["21 Nov, 14:05", "21 Nov, 14:05", "14:06", "just now", "just now"],
  ])
})
