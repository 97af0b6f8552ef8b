/** Counts the words of a text: stretches without white space. After a change only its own lines are counted again. */

import { type ChangeDesc, StateField, type Text } from "@codemirror/state"

const WORD = /\S+/g

export function countWords(text: Text, from = 0, to = text.length): number {
  let words = 0
  for (const part of text.iterRange(from, to)) words += part.match(WORD)?.length ?? 0
  return words
}

/** How many words `after` has more than `before`, from which `changes` led to it. */
export function wordsGained(before: Text, after: Text, changes: ChangeDesc): number {
  const gone = new TouchedLines(before)
  const come = new TouchedLines(after)
  changes.iterChangedRanges((fromA, toA, fromB, toB) => {
    gone.touch(fromA, toA)
    come.touch(fromB, toB)
  })
  return come.words - gone.words
}

/** The words of all lines that ranges touch, which come in order; no word goes over the end of a line. */
class TouchedLines {
  words = 0
  private counted = -1

  constructor(private readonly text: Text) {}

  touch(from: number, to: number): void {
    const start = Math.max(this.counted, this.text.lineAt(from).from)
    const { to: end } = this.text.lineAt(to)
    if (end <= this.counted) return
    this.words += countWords(this.text, start, end)
    this.counted = end
  }
}

/** The words of the document. */
export const wordCount = StateField.define<number>({
  create: (state) => countWords(state.doc),
  update: (words, { docChanged, startState, newDoc, changes }) =>
    docChanged ? words + wordsGained(startState.doc, newDoc, changes) : words,
})
