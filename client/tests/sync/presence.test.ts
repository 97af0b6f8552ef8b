/** Presence: hints come in time, not too often, and never without a connection. */

import { afterEach, beforeEach, describe, expect, test, vi } from "vitest"
import { Presence, type PresenceOwner } from "../../src/sync/presence.ts"
import type { Channel } from "../../src/sync/protocol.ts"
import { Timers } from "../../src/sync/timers.ts"

beforeEach(() => void vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "Date"] }))
afterEach(() => void vi.useRealTimers())

/** A document that a test changes, and a record of the hints about it. */
class Reader implements PresenceOwner {
  readonly draft = "d"
  live = true
  revision = 0
  isComposing = false
  releases = 0
  readonly hints: [number, string, unknown][] = []
  private readonly began = Date.now()
  private readonly channel: Channel = {
    connected: true,
    request: () => Promise.reject(new Error("Presence makes no requests.")),
    hint: (event, payload) => void this.hints.push([Date.now() - this.began, event, payload]),
  }
  readonly presence = new Presence(this, this.channel, new Timers(), () => this.releases++)

  show(revision: number, tokens: number): void {
    this.revision = revision
    this.presence.shown(tokens)
  }

  edit(): void {
    this.presence.edited()
    this.presence.reportHold()
  }
}

describe("the seen hint", () => {
  test("comes three seconds after the first of a few tokens, with the latest revision", () => {
    const reader = new Reader()
    reader.show(1, 1)
    vi.advanceTimersByTime(1_000)
    reader.show(2, 1)
    vi.advanceTimersByTime(10_000)
    expect(reader.hints).toEqual([[3_000, "seen", { draft: "d", revision: 2 }]])
  })

  test("comes a quarter of a second after many tokens, however many more follow", () => {
    const reader = new Reader()
    reader.show(1, 127)
    vi.advanceTimersByTime(1_000)
    reader.show(2, 1)
    vi.advanceTimersByTime(200)
    reader.show(3, 500)
    vi.advanceTimersByTime(10_000)
    expect(reader.hints).toEqual([[1_250, "seen", { draft: "d", revision: 3 }]])
  })

  test("counts tokens anew after every hint", () => {
    const reader = new Reader()
    reader.show(1, 200)
    vi.advanceTimersByTime(250)
    reader.show(2, 127)
    reader.show(3, 1)
    vi.advanceTimersByTime(10_000)
    expect(reader.hints.map(([at]) => at)).toEqual([250, 500])
  })
})

describe("the hold hint", () => {
  test("is renewed during a composition with edits, and withdrawn after the composition", () => {
    const reader = new Reader()
    reader.isComposing = true
    for (let second = 0; second < 6; second++) {
      reader.edit()
      vi.advanceTimersByTime(1_000)
    }
    expect(reader.presence.held).toBe(true)
    expect(reader.releases).toBe(0)
    const sent = reader.hints.length
    expect(sent).toBeGreaterThanOrEqual(10)
    expect(
      reader.hints.every(([, event, payload]) => event === "hold" && (payload as { composing: boolean }).composing),
    ).toBe(true)
    reader.isComposing = false
    reader.presence.reportHold()
    expect(reader.hints.slice(sent)).toEqual([[6_000, "hold", { draft: "d", composing: false }]])
    expect(reader.releases).toBe(1)
  })

  test("is withdrawn when a composition goes on without edits", () => {
    const reader = new Reader()
    reader.isComposing = true
    reader.edit()
    vi.advanceTimersByTime(20_000)
    expect(reader.hints.map(([at]) => at)).toEqual([0, 600, 1_200, 1_800, 2_400, 3_000])
    expect(reader.hints.at(-1)?.[2]).toEqual({ draft: "d", composing: false })
    expect(reader.presence.held).toBe(false)
    expect(reader.releases).toBe(1)
  })
})

test("a page without a connection sends no hints, but ends its hold", () => {
  const reader = new Reader()
  reader.live = false
  reader.isComposing = true
  reader.edit()
  reader.show(1, 1_000)
  vi.advanceTimersByTime(20_000)
  expect(reader.hints).toEqual([])
  expect(reader.releases).toBe(1)
})
