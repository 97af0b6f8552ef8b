/** REST client: requests have the right form, and every failure becomes a sentence for the user. */

import { afterEach, describe, expect, test, vi } from "vitest"
import { RequestFailed, rest } from "../../src/sync/rest.ts"

interface Sent {
  readonly path: string
  readonly method: string
  readonly body: unknown
}

/** Answers every request with `response`, and records the requests. */
function serve(response: () => Response): Sent[] {
  const sent: Sent[] = []
  vi.stubGlobal("fetch", async (path: string, { method, body, headers }: RequestInit & { method: string }) => {
    if (body !== undefined) expect(headers).toEqual({ "Content-Type": "application/json" })
    sent.push({ path, method, body: body === undefined ? undefined : JSON.parse(body as string) })
    return response()
  })
  return sent
}

const failure = (response: () => Response) => {
  serve(response)
  return rest.menu().then(
    () => expect.unreachable("The request must fail."),
    (error: unknown) => error,
  )
}

afterEach(() => void vi.unstubAllGlobals())

describe("a request", () => {
  test("sends its payload as JSON and returns the parsed answer", async () => {
    const story = { mode: "continue", prompt: "Once", model: "Tiny", drafts: 2 } as const
    const sent = serve(() => Response.json({ id: "s" }))
    expect(await rest.create(story)).toEqual({ id: "s" })
    expect(sent).toEqual([{ path: "/api/stories", method: "POST", body: story }])
  })

  test("has its own path and method", async () => {
    const sent = serve(() => Response.json({ stories: [] }))
    await rest.menu()
    expect(await rest.stories()).toEqual([])
    await rest.story("s")
    await rest.rename("s", "Title")
    await rest.history("d")
    await rest.remove("s")
    expect(sent).toEqual([
      { path: "/api/models", method: "GET", body: undefined },
      { path: "/api/stories", method: "GET", body: undefined },
      { path: "/api/stories/s", method: "GET", body: undefined },
      { path: "/api/stories/s", method: "PATCH", body: { title: "Title" } },
      { path: "/api/drafts/d/history", method: "GET", body: undefined },
      { path: "/api/stories/s", method: "DELETE", body: undefined },
    ])
  })

  test("accepts an answer without a body", async () => {
    serve(() => new Response(null, { status: 204 }))
    expect(await rest.remove("s")).toBeUndefined()
  })
})

describe("a failed request", () => {
  test("has the server's own sentence", async () => {
    const error = await failure(() =>
      Response.json({ error: { code: "busy", message: "Too many stories." } }, { status: 429 }),
    )
    expect(error).toBeInstanceOf(RequestFailed)
    expect((error as Error).message).toBe("Too many stories.")
  })

  test("has the status, if a proxy answers with a page of its own", async () => {
    const error = await failure(() => new Response("<h1>Bad Gateway</h1>", { status: 502 }))
    expect((error as Error).message).toBe("The server answered with status 502.")
  })

  test("says that the server cannot be reached", async () => {
    const cause = new TypeError("fetch failed")
    const error = await failure(() => {
      throw cause
    })
    expect(error).toBeInstanceOf(RequestFailed)
    expect((error as Error).message).toBe("The server cannot be reached. It may have been stopped.")
    expect((error as Error).cause).toBe(cause)
  })
})
