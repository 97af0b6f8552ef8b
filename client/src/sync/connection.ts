/** Connection: the page's one socket to the server.
 *
 * Owns connecting, reconnecting, the time limit of a request, and passing events on to the draft they belong to. Sends
 * nothing while disconnected, because the socket would buffer requests and send them, stale, all at once later. */

import { io, type Socket } from "socket.io-client"
import {
  type Answer,
  type Channel,
  type Hints,
  LostAnswer,
  type Menu,
  PROTOCOL,
  type Requests,
  type StateEvent,
  type UpdatesEvent,
} from "./protocol.ts"

/** `outdated`: the server speaks another protocol, so the page must be reloaded. */
export type Link = "connecting" | "connected" | "offline" | "outdated"

export interface DraftListener {
  connected(): void
  disconnected(): void
  updates(event: UpdatesEvent): void
  state(event: StateEvent): void
}

const ANSWER_MS = 10_000
const REFUSED_RETRY_MS = 2_000

export class Connection implements Channel {
  link: Link = "connecting"
  private readonly socket: Socket
  private readonly listeners = new Map<string, DraftListener>()

  constructor(
    private readonly onLink: (link: Link) => void,
    onMenu: (menu: Menu) => void,
  ) {
    this.socket = io("/story", {
      transports: ["websocket"],
      auth: { protocol: PROTOCOL },
      reconnectionDelay: 250,
      reconnectionDelayMax: 3_000,
      timeout: 8_000,
    })
    this.socket.on("connect", () => this.changed("connected"))
    this.socket.on("disconnect", (reason) => {
      this.changed("offline")
      if (reason === "io server disconnect") this.retry()
    })
    this.socket.on("connect_error", (error) => this.refused(error))
    this.socket.on("updates", (event: UpdatesEvent) => this.listeners.get(event.draft)?.updates(event))
    this.socket.on("state", (event: StateEvent) => this.listeners.get(event.draft)?.state(event))
    this.socket.on("menu", onMenu)
  }

  get connected(): boolean {
    return this.socket.connected
  }

  async request<K extends keyof Requests>(event: K, payload: Requests[K][0]): Promise<Answer<Requests[K][1]>> {
    if (!this.socket.connected) throw new LostAnswer("The page is not connected.")
    try {
      return (await this.socket.timeout(ANSWER_MS).emitWithAck(event, payload)) as Answer<Requests[K][1]>
    } catch (error) {
      throw new LostAnswer(`The server did not answer "${event}".`, { cause: error })
    }
  }

  hint<K extends keyof Hints>(event: K, payload: Hints[K]): void {
    if (this.socket.connected) this.socket.volatile.emit(event, payload)
  }

  /** Pass the draft's events to `listener` until the returned function is called. */
  listen(draft: string, listener: DraftListener): () => void {
    this.listeners.set(draft, listener)
    if (this.connected) listener.connected()
    return () => {
      if (this.listeners.get(draft) === listener) this.listeners.delete(draft)
    }
  }

  private changed(link: Link): void {
    this.link = link
    this.onLink(link)
    for (const listener of this.listeners.values()) {
      if (link === "connected") listener.connected()
      else listener.disconnected()
    }
  }

  private refused(error: Error & { data?: { code?: string } }): void {
    if (error.data?.code === "protocol" || error.message === "protocol") {
      this.changed("outdated")
      this.socket.disconnect()
      return
    }
    if (this.link !== "offline") this.changed("offline")
    // The socket reconnects by itself if the server is unreachable, but not if the server refuses the connection.
    if (!this.socket.active) this.retry()
  }

  private retry(): void {
    setTimeout(() => this.socket.connect(), REFUSED_RETRY_MS)
  }
}
