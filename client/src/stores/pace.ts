/** Pace: the writing speeds that the bar offers. */

/** Words per minute; null means as fast as possible. */
export type Pace = number | null

const OFFERED: readonly (readonly [Pace, string])[] = [
  [null, "as fast as possible"],
  [500, "500 words a minute"],
  [250, "250, reading speed"],
  [150, "150, speaking speed"],
  [60, "60, thinking speed"],
]

/** Return the paces to choose from, including the present one. */
export function pacesWith(present: Pace): readonly (readonly [Pace, string])[] {
  if (OFFERED.some(([pace]) => pace === present)) return OFFERED
  return [...OFFERED, [present, `${present} words a minute`]]
}
