/** Inks: the colour number of each model, in the order of the menu and the same in every sheet. */

import type { Author, Menu } from "../sync/protocol.ts"

export class Inks {
  private readonly numbers = new Map<string, number>()

  /** Give an ink to each model that has none. A model's ink never changes while the page is open. */
  learn(menu: Menu): void {
    for (const entry of [...menu.continue, ...menu.prompt]) this.ofModel(entry.name)
  }

  ofModel(name: string): number {
    const known = this.numbers.get(name)
    if (known !== undefined) return known
    const next = this.numbers.size
    this.numbers.set(name, next)
    return next
  }

  ofAuthor(author: Author): number {
    return this.ofModel(author.replace(/^model:/, ""))
  }
}
