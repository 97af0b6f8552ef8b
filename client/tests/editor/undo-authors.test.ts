/** Undo: takes back only the user's edits, and deleted model text becomes the model's again. */

import { afterEach, beforeEach, describe, expect, test, vi } from "vitest"
import { Authority, runsOf } from "../simulation/authority.ts"
import { expectAgreement, opened, quiet } from "../simulation/quiet.ts"

beforeEach(() => void vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "Date"] }))
afterEach(() => void vi.useRealTimers())

describe("undo", () => {
  test("takes back only the user's edits, and restores the author of deleted model text", async () => {
    const authority = new Authority("Once ")
    authority.write("upon a time")
    const tab = await opened(authority)
    const other = await opened(authority)
    tab.delete(5, 12)
    authority.write(" more")
    await quiet([tab, other])
    tab.undo()
    await quiet([tab, other])
    expect(authority.text).toBe("Once upon a time more")
    expect(runsOf(authority.units)).toEqual([
      [5, "user"],
      [16, "model:Tiny"],
    ])
    expectAgreement(authority, [tab, other])
  })

  test("restores authors over joined Backspaces and Deletes", async () => {
    const authority = new Authority("me ")
    authority.write("model")
    const tab = await opened(authority)
    tab.type(" me", 8)
    await vi.advanceTimersByTimeAsync(1_000)
    for (let at = 9; at > 6; at--) tab.delete(at - 1, at, "delete.backward")
    await vi.advanceTimersByTimeAsync(1_000)
    for (let count = 0; count < 4; count++) tab.delete(1, 2, "delete.forward")
    await quiet([tab])
    tab.undo()
    await quiet([tab])
    expectAgreement(authority, [tab])
    tab.undo()
    await quiet([tab])
    expect(authority.text).toBe("me model me")
    expect(runsOf(authority.units)).toEqual([
      [3, "user"],
      [5, "model:Tiny"],
      [3, "user"],
    ])
    expectAgreement(authority, [tab])
  })
})

describe("undo after mixed keys", () => {
  test("restores the model's text as the model's, and no other text", async () => {
    const authority = new Authority("")
    authority.write("model")
    const tab = await opened(authority)
    for (const [index, letter] of [..."abc"].entries()) tab.type(letter, 2 + index)
    tab.delete(4, 5, "delete.backward")
    tab.delete(4, 5, "delete.forward")
    await quiet([tab])
    expect(authority.text).toBe("moabel")
    while (tab.undo());
    await quiet([tab])
    expect(runsOf(authority.units)).toEqual([[5, "model:Tiny"]])
    expectAgreement(authority, [tab])
  })
})
