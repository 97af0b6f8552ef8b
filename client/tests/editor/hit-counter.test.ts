/** Hit counter: finds the hits of a plain search, piece by piece, and counts again after changes. */

import { SearchQuery } from "@codemirror/search"
import { EditorState } from "@codemirror/state"
import { afterEach, beforeEach, expect, test, vi } from "vitest"
import { HitCounter, MOST_COUNTED } from "../../src/editor/hit-counter.ts"
import { Random } from "../simulation/random.ts"

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

const stateOf = (doc: string) => EditorState.create({ doc })
const queryOf = (search: string) => new SearchQuery({ search, caseSensitive: true, literal: true })

function hitsIn(text: string, search: string) {
  const hits: { from: number; to: number }[] = []
  for (let at = text.indexOf(search); at >= 0; at = text.indexOf(search, at + search.length)) {
    hits.push({ from: at, to: at + search.length })
  }
  return hits
}

test("hits in a long text equal a plain search, also across pieces", () => {
  const random = new Random(5)
  for (let round = 0; round < 10; round++) {
    const text = Array.from({ length: 20_000 }, () => random.pick(["keeper", "keep", "er", " lamp ", "\n"])).join("")
    const expected = hitsIn(text, "keeper lamp")
    expect(expected.length).toBeGreaterThan(100)
    const counter = new HitCounter(() => undefined)
    counter.search(queryOf("keeper lamp"), stateOf(text))
    expect(counter.hits, "the first piece is not all").toBeNull()
    vi.runAllTimers()
    expect(counter.hits?.map(({ from, to }) => ({ from, to }))).toEqual(expected.slice(0, MOST_COUNTED))
  }
})

test("a search ends after the most hits that are counted", () => {
  const counter = new HitCounter(() => undefined)
  counter.search(queryOf("a"), stateOf("a ".repeat(MOST_COUNTED * 2)))
  vi.runAllTimers()
  expect(counter.hits?.length).toBe(MOST_COUNTED)
})

test("a text that keeps changing is counted at most once a second, and its last state is counted", () => {
  let counts = 0
  const counter = new HitCounter(() => counts++)
  counter.search(queryOf("a"), stateOf(""))
  for (let length = 1; length <= 30; length++) {
    vi.advanceTimersByTime(100)
    counter.changed(stateOf("a".repeat(length)))
  }
  expect(counts).toBeLessThanOrEqual(4)
  vi.advanceTimersByTime(1_000)
  expect(counts).toBeLessThanOrEqual(5)
  expect(counter.hits?.length).toBe(30)
})

test("a change during a long count is counted after it", () => {
  const counter = new HitCounter(() => undefined)
  counter.search(queryOf("a"), stateOf("b".repeat(100_000)))
  vi.advanceTimersByTime(1)
  counter.changed(stateOf("aa"))
  vi.runAllTimers()
  expect(counter.hits?.length).toBe(2)
})

test("an empty search has no hits, and a stopped counter counts no more", () => {
  let counts = 0
  const counter = new HitCounter(() => counts++)
  counter.search(queryOf(""), stateOf("aaa"))
  vi.runAllTimers()
  expect([counts, counter.hits]).toEqual([0, null])
  counter.search(queryOf("a"), stateOf("b".repeat(40_000)))
  counter.stop()
  vi.runAllTimers()
  expect([counts, counter.hits]).toEqual([0, null])
})
