/** Word count: the number of runs without white space. After a change only the changed lines are counted again. */

import { type ChangeDesc, StateField, type Text } from "@codemirror/state"

const WORD = /\S+/g

export function countWords(text: Text, from = 0, to = text.length): number {
  let words = 0
  for (const part of text.iterRange(from, to)) words += part.match(WORD)?.length ?? 0
  return words
}

/** Return how many words `after` has more than `before`; `changes` lead from one to the other. */
export function wordsGained(before: Text, after: Text, changes: ChangeDesc): number {
  const removed = new TouchedLines(before)
  const added = new TouchedLines(after)
  changes.iterChangedRanges((fromA, toA, fromB, toB) => {
    removed.touch(fromA, toA)
    added.touch(fromB, toB)
  })
  return added.words - removed.words
}

/** Counts the words of the lines that ranges touch. Ranges must come in order. No word crosses the end of a line. */
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

/** The number of words in the document. */
export const wordCount = StateField.define<number>({
  create: (state) => countWords(state.doc),
  update: (words, { docChanged, startState, newDoc, changes }) =>
    docChanged ? words + wordsGained(startState.doc, newDoc, changes) : words,
})
