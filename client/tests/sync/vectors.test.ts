/** Vectors: this version of CodeMirror gives the results that the server is tested with. */

import { readFileSync } from "node:fs"
import { ChangeSet, Text } from "@codemirror/state"
import { expect, test } from "vitest"

interface Pair {
  readonly text: string
  readonly a: unknown
  readonly b: unknown
  readonly afterA: string
  readonly newLength: number
  readonly next: unknown
  readonly mapAfter: unknown
  readonly mapBefore: unknown
  readonly composed: unknown
  readonly both: string
}

const file = new URL("../../../tests/vectors/changes.json", import.meta.url)
const { pairs } = JSON.parse(readFileSync(file, "utf8")) as { pairs: readonly Pair[] }

test("CodeMirror agrees with the vectors", () => {
  expect(pairs.length).toBeGreaterThan(0)
  for (const pair of pairs) {
    const [a, b, next] = [pair.a, pair.b, pair.next].map((json) => ChangeSet.fromJSON(json)) as [
      ChangeSet,
      ChangeSet,
      ChangeSet,
    ]
    const text = Text.of(pair.text.split("\n"))
    expect(a.apply(text).toString()).toBe(pair.afterA)
    expect(a.newLength).toBe(pair.newLength)
    expect(a.map(b).toJSON()).toEqual(pair.mapAfter)
    expect(a.map(b, true).toJSON()).toEqual(pair.mapBefore)
    expect(a.compose(next).toJSON()).toEqual(pair.composed)
    expect(a.map(b, true).apply(b.apply(text)).toString()).toBe(pair.both)
  }
})
