/** Timers: one per name, none after the end; a signal wakes every waiter. */

import { afterEach, beforeEach, describe, expect, test, vi } from "vitest"
import { Signal, Timers } from "../../src/sync/timers.ts"

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

describe("timers", () => {
  test("replace a running timer of the same name, and no other", () => {
    const rung: string[] = []
    const timers = new Timers()
    timers.after("a", 100, () => rung.push("first a"))
    timers.after("b", 100, () => rung.push("b"))
    vi.advanceTimersByTime(60)
    timers.after("a", 100, () => rung.push("second a"))
    vi.advanceTimersByTime(60)
    expect(rung).toEqual(["b"])
    vi.advanceTimersByTime(1_000)
    expect(rung).toEqual(["b", "second a"])
  })

  test("keep a running timer, if asked to act within a time", () => {
    const rung: string[] = []
    const timers = new Timers()
    timers.within("a", 100, () => rung.push("first"))
    vi.advanceTimersByTime(60)
    timers.within("a", 100, () => rung.push("second"))
    vi.advanceTimersByTime(60)
    expect(rung).toEqual(["first"])
    timers.within("a", 100, () => rung.push("third"))
    vi.advanceTimersByTime(100)
    expect(rung).toEqual(["first", "third"])
  })

  test("do not ring after they are stopped, and none starts", () => {
    const rung: string[] = []
    const timers = new Timers()
    timers.after("a", 100, () => rung.push("a"))
    timers.stop()
    timers.after("b", 100, () => rung.push("b"))
    timers.within("c", 100, () => rung.push("c"))
    vi.advanceTimersByTime(1_000)
    expect(rung).toEqual([])
  })
})

describe("a signal", () => {
  test("wakes every waiter at once, and later waiters only at the next time", async () => {
    const woken: string[] = []
    const signal = new Signal()
    void signal.next(1_000).then(() => woken.push("a"))
    void signal.next(1_000).then(() => woken.push("b"))
    signal.notify()
    void signal.next(1_000).then(() => woken.push("c"))
    await vi.advanceTimersByTimeAsync(0)
    expect(woken).toEqual(["a", "b"])
    signal.notify()
    await vi.advanceTimersByTimeAsync(0)
    expect(woken).toEqual(["a", "b", "c"])
  })

  test("wakes a waiter after its limit", async () => {
    let woken = false
    void new Signal().next(500).then(() => (woken = true))
    await vi.advanceTimersByTimeAsync(499)
    expect(woken).toBe(false)
    await vi.advanceTimersByTimeAsync(1)
    expect(woken).toBe(true)
  })
})
