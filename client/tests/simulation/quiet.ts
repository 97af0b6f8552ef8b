/** Quiet: waiting for tabs in fake time, and the checks that hold once no tab has work left. */

import { expect, vi } from "vitest"
import { authorship } from "../../src/sync/authorship.ts"
import { MemoryJournal } from "../../src/sync/journal.ts"
import { type Authority, Line, runsOf } from "./authority.ts"
import { Tab } from "./tab.ts"

/** Take turns with all tabs, 300 ms apart. */
export async function quiet(tabs: readonly Tab[], turns = 40): Promise<void> {
  for (let turn = 0; turn < turns; turn++) {
    for (const tab of tabs) await tab.line.tick()
    await vi.advanceTimersByTimeAsync(300)
  }
}

/** Return a tab that has opened the authority's draft. */
export async function opened(authority: Authority, journal = new MemoryJournal()): Promise<Tab> {
  const tab = new Tab(new Line(authority), journal)
  await quiet([tab], 3)
  return tab
}

/** Expect every tab to hold the authority's text and authors, with every update confirmed. */
export function expectAgreement(authority: Authority, tabs: readonly Tab[]): void {
  for (const tab of tabs) {
    expect(tab.text).toBe(authority.text)
    expect(tab.document.unsaved).toBe(0)
    expect(tab.document.revision).toBe(authority.revision)
    expect(authorship.runs(tab.state)).toEqual(runsOf(authority.units))
  }
}
