/** Editor theme: the editor's look. Colours are the page's custom properties, so one theme serves light and dark. */

import { EditorView } from "@codemirror/view"

export const storyTheme = EditorView.theme({
  "&": { height: "100%", color: "var(--ink)", background: "transparent" },
  "&.cm-focused": { outline: "none" },
  ".cm-scroller": { fontFamily: "var(--serif)", fontSize: "var(--prose)", lineHeight: "1.68", overflowX: "hidden" },
  ".cm-content": {
    maxWidth: "min(72ch, 100%)",
    width: "100%",
    margin: "0 auto",
    padding: "22px var(--gutter) 30vh",
    fontWeight: "480",
    caretColor: "var(--live)",
  },
  ".cm-line": { padding: "0 0 .45em" },
  // Models separate paragraphs with an empty line, people often without. Both should look like paragraphs.
  ".cm-line:has(> br:only-child)": { padding: "0", lineHeight: "1.1" },
  ".cm-cursor": { borderLeft: "2px solid var(--live)", marginLeft: "-1px" },
  "&.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground, .cm-selectionBackground": {
    background: "var(--selection)",
  },
  ".cm-placeholder": { color: "var(--quiet)", fontWeight: "400" },
  ".find": {
    display: "flex",
    flexWrap: "wrap",
    alignItems: "center",
    gap: "6px",
    padding: "9px 18px",
    fontFamily: "var(--sans)",
  },
  ".find input": {
    flex: "1 1 140px",
    minWidth: "0",
    padding: "6px 10px",
    border: "1px solid var(--line)",
    borderRadius: "8px",
    background: "var(--sheet)",
    fontSize: "13px",
    outlineOffset: "-1px",
  },
  ".find .button": { padding: "5px 11px", fontSize: "12.5px" },
  ".find output": { minWidth: "70px", color: "var(--quiet)", fontSize: "12px" },
  // Three rows: the search, the hits, the replacement.
  "@media (max-width: 719px)": {
    ".find": { display: "grid", gridTemplateColumns: "auto auto minmax(0, 1fr) auto auto", padding: "9px 12px" },
    ".find input": { gridArea: "1 / 1 / auto / span 4" },
    ".find .close": { gridArea: "1 / 5" },
    ".find .step": { gridRow: "2" },
    ".find output": { gridArea: "2 / 3 / auto / span 3", textAlign: "right" },
    ".find .with": { gridRow: "3" },
    ".find input.with": { gridArea: "3 / 1 / auto / span 3" },
  },
  ".cm-searchMatch": { background: "color-mix(in srgb, var(--selection) 60%, transparent)" },
  ".cm-searchMatch-selected": { background: "var(--selection)", outline: "1px solid var(--quiet)" },
  ".cm-panels-top": { borderBottom: "1px solid var(--line)" },
  ".cm-panels": { background: "var(--bar)", color: "var(--ink)", borderColor: "var(--line)" },
})
