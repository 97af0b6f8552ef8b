/** Build stamp: writes `build.json`, a hash over all sources of the page, which a test recomputes without Node. */

import { createHash } from "node:crypto"
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import type { Plugin } from "vite"

/** The sources, relative to `client/`. A folder stands for every file in it. A test reads this list as JSON. */
export const SOURCES = [
  "build", "package-lock.json", "package.json", "public", "src", "tsconfig.json", "vite.config.ts"
]

/** Return the SHA-256 over "path\0size\0content" of every source file, in the order of their paths' code units. */
export function sourceHash(root: string): string {
  const hash = createHash("sha256")
  for (const path of SOURCES.flatMap((source) => filesUnder(root, source)).sort()) {
    const content = readFileSync(join(root, path), "utf8").replaceAll("\r\n", "\n")
    hash.update(`${path}\0${Buffer.byteLength(content)}\0${content}`)
  }
  return hash.digest("hex")
}

function filesUnder(root: string, source: string): string[] {
  if (/\.\w+$/.test(source)) return [source]
  return readdirSync(join(root, source), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) =>
      join(entry.parentPath, entry.name)
        .slice(root.length + 1)
        .replaceAll("\\", "/"),
    )
}

/** Return the Vite plugin that adds `build.json` to the build. */
export function stamp(): Plugin {
  return {
    name: "storygen-stamp",
    apply: "build",
    generateBundle() {
      const source = `${JSON.stringify({ hash: sourceHash(process.cwd()) })}\n`
      this.emitFile({ type: "asset", fileName: "build.json", source })
    },
  }
}
