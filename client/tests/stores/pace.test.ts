/** Pace: the present pace is always among the choices, once. */

import { expect, test } from "vitest"
import { pacesWith } from "../../src/stores/pace.ts"

test.each([null, 250, 60])("a pace of %s is one of the usual choices", (pace) => {
  expect(pacesWith(pace)).toBe(pacesWith(null))
  expect(pacesWith(pace).filter(([choice]) => choice === pace).length).toBe(1)
})

test("another pace is added at the end", () => {
  expect(pacesWith(77).at(-1)).toEqual([77, "77 words a minute"])
  expect(pacesWith(77).slice(0, -1)).toEqual(pacesWith(null))
})
