/** Connection: events reach their draft, requests end, and a refused page comes back only if it may. */

import { afterEach, beforeEach, describe, expect, test, vi } from "vitest"
import { Connection, type DraftListener, type Link } from "../../src/sync/connection.ts"
import { LostAnswer, type Menu, PROTOCOL } from "../../src/sync/protocol.ts"

type Handler = (payload: unknown) => void

/** A socket without a network: the test plays the server. */
class ScriptedSocket {
  connected = false
  /** Whether the socket reconnects by itself. */
  active = true
  connects = 0
  readonly sent: [string, unknown][] = []
  answer: () => Promise<unknown> = () => Promise.resolve({ ok: true })
  readonly volatile = { emit: (event: string, payload: unknown) => void this.sent.push([event, payload]) }
  private readonly handlers = new Map<string, Handler>()

  constructor(
    readonly address: string,
    readonly options: { auth: unknown },
  ) {}

  on(event: string, handler: Handler): void {
    this.handlers.set(event, handler)
  }

  timeout(ms: number) {
    return {
      emitWithAck: (event: string, payload: unknown) => {
        this.sent.push([event, payload])
        const late = new Promise((_, reject) => setTimeout(() => reject(new Error("timed out")), ms))
        return Promise.race([this.answer(), late])
      },
    }
  }

  connect(): void {
    this.connects++
  }

  disconnect(): void {
    this.drop("io client disconnect")
  }

  accept(): void {
    this.connected = true
    this.receive("connect", undefined)
  }

  drop(reason: string): void {
    this.connected = false
    this.receive("disconnect", reason)
  }

  receive(event: string, payload: unknown): void {
    this.handlers.get(event)?.(payload)
  }
}

let socket: ScriptedSocket
vi.mock("socket.io-client", () => ({
  io: (address: string, options: { auth: unknown }) => (socket = new ScriptedSocket(address, options)),
}))

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

function connect() {
  const links: Link[] = []
  const menus: Menu[] = []
  const connection = new Connection(
    (link) => links.push(link),
    (menu) => menus.push(menu),
  )
  return { connection, links, menus }
}

function record(): DraftListener & { heard: unknown[] } {
  const heard: unknown[] = []
  return {
    heard,
    connected: () => heard.push("connected"),
    disconnected: () => heard.push("disconnected"),
    updates: (event) => heard.push(event),
    state: (event) => heard.push(event),
  }
}

test("a connection names its protocol and reports its link and the menu", () => {
  const { links, menus } = connect()
  expect([socket.address, socket.options.auth]).toEqual(["/story", { protocol: PROTOCOL }])
  socket.accept()
  socket.receive("menu", { continue: [], prompt: [] })
  socket.drop("transport close")
  expect(links).toEqual(["connected", "offline"])
  expect(menus).toEqual([{ continue: [], prompt: [] }])
})

describe("a listener", () => {
  test("hears the events of its own draft, until it stops", () => {
    const { connection } = connect()
    const [one, two] = [record(), record()]
    const stop = connection.listen("1", one)
    connection.listen("2", two)
    socket.accept()
    socket.receive("updates", { draft: "1", revision: 3 })
    socket.receive("state", { draft: "2", state: "writing" })
    stop()
    socket.receive("updates", { draft: "1", revision: 4 })
    socket.drop("transport close")
    expect(one.heard).toEqual(["connected", { draft: "1", revision: 3 }])
    expect(two.heard).toEqual(["connected", { draft: "2", state: "writing" }, "disconnected"])
  })

  test("hears of a connection that exists already, and survives the end of an older listener", () => {
    const { connection } = connect()
    socket.accept()
    const stopOlder = connection.listen("1", record())
    const newer = record()
    connection.listen("1", newer)
    stopOlder()
    socket.receive("updates", { draft: "1", revision: 3 })
    expect(newer.heard).toEqual(["connected", { draft: "1", revision: 3 }])
  })
})

describe("a request", () => {
  test("sends its payload and returns the answer", async () => {
    const { connection } = connect()
    socket.accept()
    socket.answer = () => Promise.resolve({ ok: true, revision: 5 })
    expect(await connection.request("pause", { draft: "1" })).toEqual({ ok: true, revision: 5 })
    expect(socket.sent).toEqual([["pause", { draft: "1" }]])
  })

  test("is lost, and not sent, without a connection; so is a hint", async () => {
    const { connection } = connect()
    await expect(connection.request("pause", { draft: "1" })).rejects.toBeInstanceOf(LostAnswer)
    connection.hint("seen", { draft: "1", revision: 3 })
    expect(socket.sent).toEqual([])
    socket.accept()
    connection.hint("seen", { draft: "1", revision: 3 })
    expect(socket.sent).toEqual([["seen", { draft: "1", revision: 3 }]])
  })

  test("is lost after ten seconds without an answer", async () => {
    const { connection } = connect()
    socket.accept()
    socket.answer = () => new Promise(() => undefined)
    const lost = expect(connection.request("pause", { draft: "1" })).rejects.toBeInstanceOf(LostAnswer)
    await vi.advanceTimersByTimeAsync(10_000)
    await lost
  })
})

describe("a refused connection", () => {
  test("is given up if the server speaks another protocol", () => {
    const { links } = connect()
    socket.active = false
    socket.receive("connect_error", Object.assign(new Error("refused"), { data: { code: "protocol" } }))
    expect(links[0]).toBe("outdated")
    vi.advanceTimersByTime(60_000)
    expect(socket.connects).toBe(0)
  })

  test("is tried again after two seconds, if the socket does not do so itself", () => {
    const { links } = connect()
    socket.receive("connect_error", new Error("unreachable"))
    vi.advanceTimersByTime(60_000)
    expect(socket.connects).toBe(0)
    socket.active = false
    socket.receive("connect_error", new Error("too many connections"))
    vi.advanceTimersByTime(1_999)
    expect(socket.connects).toBe(0)
    vi.advanceTimersByTime(1)
    expect(socket.connects).toBe(1)
    expect(links).toEqual(["offline"])
  })

  test("is tried again if the server ended it", () => {
    connect()
    socket.accept()
    socket.drop("io server disconnect")
    vi.advanceTimersByTime(2_000)
    expect(socket.connects).toBe(1)
  })
})
