/** State words: every state has its words, and a screen reader hears no more changes than necessary. */

import { describe, expect, test } from "vitest"
import { type SheetState, shownState, spokenState } from "../../src/stores/state-words.ts"
import type { DraftState } from "../../src/sync/protocol.ts"

const STATE: SheetState = {
  phase: "paused",
  detail: "",
  progress: 0,
  model: "Tiny",
  speed: 0,
  opened: true,
  live: true,
}
const PHASES: readonly DraftState[] = ["paused", "loading", "waiting", "writing", "held", "ended", "failed"]

const cases: [Partial<SheetState>, shown: string, spoken: string][] = [
  [{ phase: "writing" }, "writing", "Tiny is writing"],
  [{ phase: "writing", speed: 4.26 }, "4.3 tok/s", "Tiny is writing"],
  [{ phase: "writing", speed: 31.4 }, "31 tok/s", "Tiny is writing"],
  [{ phase: "held" }, "waiting while you write", "Tiny is writing"],
  [{ phase: "waiting", detail: "viewer" }, "waiting for this page to catch up", "Tiny is writing"],
  [{ phase: "waiting", detail: "turn" }, "waiting for its turn", "Tiny is waiting for its turn"],
  [{ phase: "waiting", detail: "another reason" }, "waiting", "Tiny is writing"],
  [{ phase: "loading" }, "Loading", "Loading Tiny"],
  [{ phase: "loading", progress: 0.426 }, "Loading, 43 %", "Loading Tiny"],
  [{ phase: "loading", detail: "The engine is starting." }, "The engine is starting.", "The engine is starting."],
  [{ phase: "ended" }, "the model ended the story", "The model ended the story"],
  [{ phase: "failed" }, "stopped", ""],
  [{ phase: "paused" }, "paused", "Tiny is paused"],
  [{ phase: "paused", detail: "limit" }, "paused at its limit", "Tiny is paused at its limit"],
  [
    { phase: "paused", detail: "no_viewer" },
    "paused, because no page was open",
    "Tiny is paused, because no page was open",
  ],
]

test.each(cases)("%o", (change, shown, spoken) => {
  expect(shownState({ ...STATE, ...change })).toBe(shown)
  expect(spokenState({ ...STATE, ...change })).toBe(spoken)
})

describe.each(PHASES)("while %s", (phase) => {
  test("a draft that is not open or not connected says only that", () => {
    expect(shownState({ ...STATE, phase, opened: false })).toBe("opening")
    expect(shownState({ ...STATE, phase, live: false })).toBe("not connected")
    for (const change of [{ opened: false }, { live: false }])
      expect(spokenState({ ...STATE, phase, ...change })).toBe("")
  })

  test("speed and progress change no spoken word", () => {
    const quiet = spokenState({ ...STATE, phase })
    expect(spokenState({ ...STATE, phase, speed: 31, progress: 0.4 })).toBe(quiet)
  })
})
