/** Folders: no two folders of the sources import each other, and only components and stores know Svelte. */

import { readdirSync, readFileSync } from "node:fs"
import { dirname, join, relative } from "node:path"
import { fileURLToPath } from "node:url"
import { expect, test } from "vitest"

const SOURCES = fileURLToPath(new URL("../src", import.meta.url))
const IMPORT = /^\s*(?:import|export)\b[^"']*["']([^"']+)["']/gm

type Graph = ReadonlyMap<string, ReadonlySet<string>>

function importsOf(path: string): string[] {
  return [...readFileSync(join(SOURCES, path), "utf8").matchAll(IMPORT)].map(([, name]) => name as string)
}

function files(): string[] {
  return readdirSync(SOURCES, { recursive: true, encoding: "utf8" }).filter((path) => /\.(ts|svelte)$/.test(path))
}

/** The folders that each folder imports. */
function foldersOf(paths: readonly string[]): Graph {
  const folders = new Map<string, Set<string>>()
  for (const path of paths) {
    const folder = dirname(path)
    const imported = folders.get(folder) ?? new Set()
    folders.set(folder, imported)
    for (const name of importsOf(path).filter((name) => name.startsWith("."))) {
      const other = dirname(relative(SOURCES, join(SOURCES, folder, name)))
      if (other !== folder) imported.add(other)
    }
  }
  return folders
}

/** The folders that can be reached from themselves. */
function inCircles(graph: Graph): string[] {
  const reached = (from: string, seen = new Set<string>()): Set<string> => {
    for (const next of graph.get(from) ?? []) if (!seen.has(next)) reached(next, seen.add(next))
    return seen
  }
  return [...graph.keys()].filter((folder) => reached(folder).has(folder))
}

test("no two folders import each other, directly or over others", () => {
  const graph = foldersOf(files())
  expect(graph.get("components/sheet")).toContain("stores")
  expect(inCircles(graph)).toEqual([])
})

test("a circle is found", () => {
  const graph = new Map([
    ["a", new Set(["b"])],
    ["b", new Set(["c"])],
    ["c", new Set(["b"])],
  ])
  expect(inCircles(graph)).toEqual(["b", "c"])
})

test("the editor and the sync code do not import Svelte, stores or components", () => {
  const free = files().filter((path) => /^(editor|sync)\//.test(path))
  expect(free.length).toBeGreaterThan(20)
  const wrong = free.filter((path) => importsOf(path).some((name) => /^svelte|\/(stores|components)\//.test(name)))
  expect(wrong).toEqual([])
})
