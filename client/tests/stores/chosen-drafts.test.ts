/** Chosen drafts: choices outlive the page, and a device without storage keeps them for the page. */

import { afterEach, beforeEach, expect, test, vi } from "vitest"
import { ChosenDrafts } from "../../src/stores/chosen-drafts.ts"

const stored = new Map<string, string>()

beforeEach(() => {
  stored.clear()
  vi.stubGlobal("localStorage", {
    getItem: (key: string) => stored.get(key) ?? null,
    setItem: (key: string, value: string) => stored.set(key, value),
  })
})
afterEach(() => void vi.unstubAllGlobals())

test("a choice is remembered by the next page, until it is forgotten", () => {
  const page = new ChosenDrafts()
  expect(page.of("story")).toBeUndefined()
  page.choose("story", "first")
  page.choose("story", "second")
  page.choose("other", "third")
  expect(new ChosenDrafts().of("story")).toBe("second")
  page.forget("story")
  const next = new ChosenDrafts()
  expect([next.of("story"), next.of("other")]).toEqual([undefined, "third"])
})

test("without storage a choice lasts as long as the page", () => {
  const forbidden = () => {
    throw new DOMException("The operation is insecure.", "SecurityError")
  }
  vi.stubGlobal("localStorage", { getItem: forbidden, setItem: forbidden })
  const page = new ChosenDrafts()
  page.choose("story", "draft")
  expect(page.of("story")).toBe("draft")
  expect(new ChosenDrafts().of("story")).toBeUndefined()
})

test("broken storage counts as empty", () => {
  stored.set("storygen-chosen", "[[")
  expect(new ChosenDrafts().of("story")).toBeUndefined()
})

test("any other failure is raised", () => {
  vi.stubGlobal("localStorage", {
    getItem: () => null,
    setItem: () => {
      throw new RangeError("a mistake in the program")
    },
  })
  expect(() => new ChosenDrafts().choose("story", "draft")).toThrow(RangeError)
})
