/** How fast the words come, as the bar offers it. */

/** Words per minute, or null: as fast as it goes. */
export type Pace = number | null

const OFFERED: readonly (readonly [Pace, string])[] = [
  [null, "as fast as it can"],
  [500, "500 words a minute"],
  [250, "250, as one reads"],
  [150, "150, as one reads aloud"],
  [60, "60, as one thinks"],
]

/** What can be chosen, and the present pace in any case. */
export function pacesWith(present: Pace): readonly (readonly [Pace, string])[] {
  if (OFFERED.some(([pace]) => pace === present)) return OFFERED
  return [...OFFERED, [present, `${present} words a minute`]]
}
