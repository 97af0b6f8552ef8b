/** State words: the state of a draft in words, for the sheet's head and for a screen reader. */

import type { DraftState } from "../sync/protocol.ts"

/** The state of a sheet. */
export interface SheetState {
  readonly phase: DraftState
  readonly detail: string
  readonly progress: number
  readonly model: string
  readonly speed: number
  readonly opened: boolean
  /** Whether the page receives the draft's updates. */
  readonly live: boolean
}

const PAUSED: Record<string, string> = { limit: "paused at its limit", no_viewer: "paused, because no page was open" }
const WAITING: Record<string, string> = { viewer: "waiting for this page to catch up", turn: "waiting for its turn" }

/** Return the state as the sheet's head shows it. */
export function shownState({ phase, detail, progress, speed, opened, live }: SheetState): string {
  if (!opened) return "opening"
  if (!live) return "not connected"
  switch (phase) {
    case "writing":
      return speed ? `${speed.toFixed(speed < 10 ? 1 : 0)} tok/s` : "writing"
    case "held":
      return "waiting while you write"
    case "waiting":
      return WAITING[detail] ?? "waiting"
    case "loading":
      // The head names the model. There is no number until some progress is known.
      return detail || (progress > 0 ? `Loading, ${Math.round(progress * 100)} %` : "Loading")
    case "ended":
      return "the model ended the story"
    case "failed":
      return "stopped"
    case "paused":
      return PAUSED[detail] ?? "paused"
  }
}

/** Return the state as a screen reader speaks it. The reader speaks every change, so the words hold no numbers and
 * do not change while the model waits for the user's own typing. */
export function spokenState({ phase, detail, model, opened, live }: SheetState): string {
  if (!opened || !live) return ""
  switch (phase) {
    case "writing":
    case "held":
      return `${model} is writing`
    case "waiting":
      return detail === "turn" ? `${model} is waiting for its turn` : `${model} is writing`
    case "loading":
      return detail || `Loading ${model}`
    case "ended":
      return "The model ended the story"
    // The alert in the sheet's head says why.
    case "failed":
      return ""
    case "paused":
      return `${model} is ${PAUSED[detail] ?? "paused"}`
  }
}
