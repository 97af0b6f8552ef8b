/** Chosen drafts: the draft of each story that the user continued, so that the story opens with this draft again.
 *
 * Kept on this device, if its storage allows. Knows nothing of routes or sheets. */

const KEY = "storygen-chosen"

export class ChosenDrafts {
  /** The draft of each story, in the order in which they were first chosen. */
  private readonly drafts = new Map<string, string>(stored())

  of(story: string): string | undefined {
    return this.drafts.get(story)
  }

  choose(story: string, draft: string): void {
    this.drafts.set(story, draft)
    this.store()
  }

  forget(story: string): void {
    if (this.drafts.delete(story)) this.store()
  }

  private store(): void {
    try {
      localStorage.setItem(KEY, JSON.stringify([...this.drafts]))
    } catch (error) {
      // Storage may be full or forbidden. The choice then lasts as long as the page.
      if (!(error instanceof DOMException)) throw error
    }
  }
}

function stored(): [string, string][] {
  try {
    return JSON.parse(localStorage.getItem(KEY) ?? "[]") as [string, string][]
  } catch (error) {
    if (error instanceof DOMException || error instanceof SyntaxError) return []
    throw error
  }
}
