/** How the editor looks. Colours are the page's custom properties, so one theme serves light and dark. */

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
  // Models part paragraphs with an empty line, people often don't: both should look like paragraphs.
  ".cm-line:has(> br:only-child)": { padding: "0", lineHeight: "1.1" },
  ".cm-cursor": { borderLeft: "2px solid var(--live)", marginLeft: "-1px" },
  "&.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground, .cm-selectionBackground": {
    background: "var(--selection)",
  },
  ".cm-placeholder": { color: "var(--quiet)", fontWeight: "400" },
  ".cm-panels": { background: "var(--bar)", color: "var(--ink)", borderColor: "var(--line)" },
})
