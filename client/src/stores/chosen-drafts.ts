/** Which draft of a story its writer went on with, so that the story opens with it again; kept on this device, where
 * that is possible. Knows neither routes nor sheets. */

const KEY = "storygen-chosen"

export class ChosenDrafts {
  /** Draft by story, in the order of choosing. */
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
      // Storage may be full or forbidden; then the choice lasts as long as the page.
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
