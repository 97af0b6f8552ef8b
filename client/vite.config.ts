import { svelte } from "@sveltejs/vite-plugin-svelte"
import { defineConfig } from "vitest/config"
import { stamp } from "./build/stamp.ts"

// Fixed names and no timestamps: the build is committed, so the same sources must give the same bytes.
export default defineConfig({
  base: "./",
  publicDir: "public",
  plugins: [svelte(), stamp()],
  build: {
    outDir: "../static",
    emptyOutDir: false,
    target: "es2022",
    sourcemap: false,
    modulePreload: false,
    assetsInlineLimit: 0,
    cssCodeSplit: false,
    // The libraries' licences must be passed on.
    license: { fileName: "third-party-licenses.md" },
    chunkSizeWarningLimit: 1024,
    rolldownOptions: {
      input: "src/main.ts",
      output: { entryFileNames: "app.js", assetFileNames: nameOf, codeSplitting: false, format: "es" },
    },
  },
  test: { environment: "node", include: ["tests/**/*.test.ts"] },
})

function nameOf(asset: { names: string[] }): string {
  return asset.names.some((name) => name.endsWith(".css")) ? "app.css" : "[name][extname]"
}
