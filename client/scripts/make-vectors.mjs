// Vectors: writes tests/vectors/changes.json, the results of CodeMirror's own ChangeSet for seeded random changes.
// The tests of the server's algebra and the page's tests read this file; the README beside it describes its format.
//
//   node client/scripts/make-vectors.mjs        (after `npm ci` in client/)

import { writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { ChangeSet, Text } from "@codemirror/state";

const SEED = 20260101;
const ALPHABET = ["a", "b", "Z", " ", "\n", "é", "ß", "中", "😀", "👩‍👧", "e\u0301", "\u2028"];

let seed = SEED;
function random(below) {
  // mulberry32: the same numbers on every platform
  seed = (seed + 0x6d2b79f5) | 0;
  let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
  return ((t ^ (t >>> 14)) >>> 0) % below;
}

function randomText(most) {
  let text = "";
  for (let n = random(most + 1); n > 0; n--) text += ALPHABET[random(ALPHABET.length)];
  return text;
}

function splitsPair(text, at) {
  return /[\uDC00-\uDFFF]/.test(text[at] ?? "");
}

// Return an offset outside surrogate pairs, because the server refuses changes that split a pair.
function randomOffset(text, from = 0) {
  const at = from + random(text.length - from + 1);
  return at > from && splitsPair(text, at) ? at - 1 : at;
}

function randomChanges(text) {
  const changes = [];
  let from = 0;
  for (let n = random(4); n > 0 && from <= text.length; n--) {
    from = randomOffset(text, from);
    const to = random(3) ? randomOffset(text, from) : from;
    const most = from + 6 - (splitsPair(text, from + 6) ? 1 : 0);
    changes.push({ from, to: Math.min(to, most), insert: random(3) ? randomText(4) : "" });
    from = changes.at(-1).to + random(2) * random(3);
    if (splitsPair(text, from)) from++;
  }
  return ChangeSet.of(changes, text.length);
}

const toText = (text) => Text.of(text.split("\n"));
const apply = (changes, text) => changes.apply(toText(text)).toString();

function pairVector() {
  const text = randomText(12);
  const a = randomChanges(text);
  const b = randomChanges(text);
  const afterA = apply(a, text);
  const next = randomChanges(afterA);
  const positions = [];
  for (let at = 0; at <= text.length; at++) positions.push([a.mapPos(at, -1), a.mapPos(at, 1)]);
  const ranges = [];
  a.iterChanges((fromA, toA, fromB, toB, inserted) => ranges.push([fromA, toA, fromB, toB, inserted.toString()]));
  return {
    text, a, b, next, afterA,
    mapAfter: a.map(b), mapBefore: a.map(b, true), composed: a.compose(next),
    both: apply(a.map(b, true), apply(b, text)),
    positions, ranges, newLength: a.newLength,
  };
}

function chain(text, clients) {
  const updates = [];
  for (const clientID of clients) {
    const changes = randomChanges(text);
    updates.push({ clientID, changes });
    text = apply(changes, text);
  }
  return { updates, text };
}

// Rebase one client's `updates` over the accepted updates, one at a time. The collab package's rebaseUpdates rebases
// over their composition, which can give another result (docs/decisions/0002).
function rebase(updates, over) {
  let pending = [...updates];
  for (const accepted of over) {
    if (pending.length && pending[0].clientID === accepted.clientID) {
      pending = pending.slice(1);
      continue;
    }
    let changes = accepted.changes;
    pending = pending.map((update) => {
      const moved = { ...update, changes: update.changes.map(changes) };
      changes = changes.map(update.changes, true);
      return moved;
    });
  }
  return pending;
}

// A client has made `updates`. Meanwhile the updates in `over` were accepted, including the client's first ones.
function rebaseVector() {
  const text = randomText(10);
  const own = chain(text, Array(1 + random(4)).fill("me"));
  const accepted = random(own.updates.length + 1);
  let server = text;
  const over = [];
  const pending = own.updates.slice(0, accepted);
  for (let turns = random(4) + pending.length; turns > 0; turns--) {
    if (pending.length && random(2)) {
      const fresh = rebase(own.updates.slice(0, accepted - pending.length + 1), over);
      over.push(fresh[0]);
      pending.shift();
    } else {
      over.push({ clientID: random(2) ? "you" : "model", changes: randomChanges(server) });
    }
    server = apply(over.at(-1).changes, server);
  }
  const rebased = rebase(own.updates, over);
  let result = server;
  for (const update of rebased) result = apply(update.changes, result);
  const write = (update) => [update.clientID, update.changes];
  return { text, updates: own.updates.map(write), over: over.map(write), rebased: rebased.map(write), result };
}

const vectors = {
  codemirror: "@codemirror/state 6.7.6",
  seed: SEED,
  pairs: Array.from({ length: 500 }, pairVector),
  rebases: Array.from({ length: 250 }, rebaseVector),
};
const lines = (list) => `[\n${list.map((vector) => JSON.stringify(vector)).join(",\n")}\n]`;
const { pairs, rebases, ...head } = vectors;
writeFileSync(
  fileURLToPath(new URL("../../tests/vectors/changes.json", import.meta.url)),
  `${JSON.stringify(head).slice(0, -1)},\n"pairs": ${lines(pairs)},\n"rebases": ${lines(rebases)}}\n`,
);
