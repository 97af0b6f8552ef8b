/** Cuts a change that is too large for one push into several that do the same one after another.
 *
 * Knows nothing of the wire; sizes are UTF-16 units of inserted text. */

import { ChangeSet, Text } from "@codemirror/state"

interface Piece {
  /** Range in the document as it was before the whole change. */
  readonly from: number
  readonly to: number
  readonly insert: Text
}

/** Change sets that, applied in order to a document of `changes.length` units, equal `changes`. None inserts
 * more than `limit` units (at least 2) or changes more than `places` places, and none is cut inside a surrogate pair. */
export function splitChanges(changes: ChangeSet, limit: number, places: number): readonly ChangeSet[] {
  const pieces = piecesOf(changes, limit)
  const units = pieces.reduce((sum, piece) => sum + piece.insert.length, 0)
  if (units <= limit && pieces.length <= places) return [changes]
  const parts: ChangeSet[] = []
  let shift = 0
  for (const group of grouped(pieces, limit, places)) {
    const moved = group.map((piece) => ({ from: piece.from + shift, to: piece.to + shift, insert: piece.insert }))
    const part: ChangeSet = ChangeSet.of(moved, parts.at(-1)?.newLength ?? changes.length)
    parts.push(part)
    shift += part.newLength - part.length
  }
  return parts
}

function piecesOf(changes: ChangeSet, limit: number): Piece[] {
  const pieces: Piece[] = []
  changes.iterChanges((from, to, _fromB, _toB, inserted) => {
    const first = cutAt(inserted, 0, limit)
    pieces.push({ from, to, insert: inserted.slice(0, first) })
    for (let start = first; start < inserted.length; ) {
      const end = cutAt(inserted, start, limit)
      // What is deleted goes with the first piece; the rest is inserted where the deletion ended.
      pieces.push({ from: to, to, insert: inserted.slice(start, end) })
      start = end
    }
  }, true)
  return pieces
}

function cutAt(text: Text, start: number, limit: number): number {
  const end = Math.min(text.length, start + limit)
  if (end === text.length) return end
  const lastUnit = text.sliceString(end - 1, end).charCodeAt(0)
  return lastUnit >= 0xd800 && lastUnit <= 0xdbff ? end - 1 : end
}

function grouped(pieces: readonly Piece[], limit: number, places: number): Piece[][] {
  const groups: Piece[][] = []
  let room = 0
  for (const piece of pieces) {
    const group = groups.at(-1)
    // Two pieces of one cut insertion stay apart: the second stands after the first only once that is applied.
    const continues = group?.at(-1)?.to === piece.from && piece.from === piece.to
    const fits = piece.insert.length <= room && group && group.length < places
    if (fits && !continues) group.push(piece)
    else {
      groups.push([piece])
      room = limit
    }
    room -= piece.insert.length
  }
  return groups
}
