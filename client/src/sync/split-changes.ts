/** Change splitting: cuts a change that is too large for one update into a sequence of smaller changes.
 *
 * Sizes are UTF-16 units of inserted text. Knows nothing of the protocol. */

import { ChangeSet, Text } from "@codemirror/state"

interface Piece {
  /** The range in the document before the whole change. */
  readonly from: number
  readonly to: number
  readonly insert: Text
}

/** Split `changes` into change sets that do the same when applied in order. None inserts more than `limit` units (at
 * least 2) or changes more than `places` places, and no cut is inside a surrogate pair. */
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
    for (let start = first; start < inserted.length;) {
      const end = cutAt(inserted, start, limit)
      // The first piece holds the deletion. The other pieces are inserted at the end of the deleted range.
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
  let unitsLeft = 0
  for (const piece of pieces) {
    const group = groups.at(-1)
    // Two pieces of one insertion belong in different groups: the second follows the first only once it is applied.
    const continues = group?.at(-1)?.to === piece.from && piece.from === piece.to
    const fits = piece.insert.length <= unitsLeft && group && group.length < places
    if (fits && !continues) group.push(piece)
    else {
      groups.push([piece])
      unitsLeft = limit
    }
    unitsLeft -= piece.insert.length
  }
  return groups
}
