/** Which ink a model writes in: the same for one model in every sheet, in the order of the menu. */

import type { Author, Menu } from "../sync/protocol.ts"

export class Inks {
  private readonly numbers = new Map<string, number>()

  /** Gives inks to models that have none yet; nobody's ink ever changes while the page lives. */
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
