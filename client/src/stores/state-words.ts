/** What a draft is doing, in words: for the eye in its sheet's head, and for the ear where it changes. */

import type { DraftState } from "../sync/protocol.ts"

/** What there is to tell of a sheet. */
export interface Doing {
  readonly phase: DraftState
  readonly detail: string
  readonly progress: number
  readonly model: string
  readonly speed: number
  readonly opened: boolean
  /** Whether this page hears what the draft does. */
  readonly live: boolean
}

const PAUSED: Record<string, string> = { limit: "paused at its limit", no_viewer: "paused, as nobody was watching" }
const WAITING: Record<string, string> = { viewer: "waits for you to catch up", turn: "waits for its turn" }

/** For the sheet's head. */
export function shownState({ phase, detail, progress, speed, opened, live }: Doing): string {
  if (!opened) return "opening"
  if (!live) return "not connected"
  switch (phase) {
    case "writing":
      return speed ? `${speed.toFixed(speed < 10 ? 1 : 0)} tok/s` : "writing"
    case "held":
      return "waits while you write"
    case "waiting":
      return WAITING[detail] ?? "waits"
    case "loading":
      // The model is named beside it. Before anything is known of the progress, no number is said.
      return detail || (progress > 0 ? `Loading, ${Math.round(progress * 100)} %` : "Loading")
    case "ended":
      return "the model ended the story"
    case "failed":
      return "stopped"
    case "paused":
      return PAUSED[detail] ?? "paused"
  }
}

/** For a screen reader, which hears every change: no numbers, and nothing of a wait that one's own typing makes. */
export function spokenState({ phase, detail, model, opened, live }: Doing): string {
  if (!opened || !live) return ""
  switch (phase) {
    case "writing":
    case "held":
      return `${model} writes`
    case "waiting":
      return detail === "turn" ? `${model} waits for its turn` : `${model} writes`
    case "loading":
      return detail || `Loading ${model}`
    case "ended":
      return "The model ended the story"
    // An alert says more.
    case "failed":
      return ""
    case "paused":
      return `${model} ${PAUSED[detail] ?? "paused"}`
  }
}
