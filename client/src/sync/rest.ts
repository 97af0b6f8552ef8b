/** REST client: requests for the model menu and for the stories of this browser. */

import type { History, Menu, Mode, Sampling, StoryEntry, WireError } from "./protocol.ts"

/** The server answered with an error or could not be reached. The message is a sentence for the user. */
export class RequestFailed extends Error {
  override readonly name = "RequestFailed"
}

export interface NewStory {
  readonly mode: Mode
  readonly prompt: string
  readonly model?: string
  /** The number of openings by `model`. */
  readonly drafts?: number
  /** Instead of `model`: one opening by each of these models. */
  readonly models?: readonly string[]
  readonly sampling?: Partial<Sampling>
}

export const rest = {
  menu: () => call<Menu>("GET", "/api/models"),
  stories: async () => (await call<{ stories: readonly StoryEntry[] }>("GET", "/api/stories")).stories,
  story: (id: string) => call<StoryEntry>("GET", `/api/stories/${id}`),
  create: (story: NewStory) => call<StoryEntry>("POST", "/api/stories", story),
  rename: (id: string, title: string) => call<StoryEntry>("PATCH", `/api/stories/${id}`, { title }),
  history: (draft: string) => call<History>("GET", `/api/drafts/${draft}/history`),
  remove: (id: string) => call<unknown>("DELETE", `/api/stories/${id}`),
}

async function call<T>(method: string, path: string, body?: unknown): Promise<T> {
  const sent = body === undefined ? {} : { body: JSON.stringify(body), headers: { "Content-Type": "application/json" } }
  let response: Response
  try {
    response = await fetch(path, { method, ...sent })
  } catch (error) {
    throw new RequestFailed("The server cannot be reached. It may have been stopped.", { cause: error })
  }
  const text = await response.text()
  if (response.ok) return (text ? JSON.parse(text) : undefined) as T
  throw new RequestFailed(messageOf(text) ?? `The server answered with status ${response.status}.`)
}

function messageOf(text: string): string | undefined {
  try {
    return (JSON.parse(text) as { error?: WireError }).error?.message
  } catch (error) {
    // A proxy in between may answer with a page of its own.
    if (error instanceof SyntaxError) return undefined
    throw error
  }
}
