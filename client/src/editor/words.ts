/** Counts the words of a text: stretches without white space. */

import type { Text } from "@codemirror/state"

const WORD = /\S+/g

export function countWords(text: Text): number {
  let words = 0
  for (const line of text.iterLines()) words += line.match(WORD)?.length ?? 0
  return words
}
