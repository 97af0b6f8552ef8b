/** Find panel: find and replace in the whole text, in the page's own style.
 *
 * A replacement is an edit like any other. */

import {
  closeSearchPanel,
  findNext,
  findPrevious,
  getSearchQuery,
  replaceAll,
  replaceNext,
  SearchQuery,
  setSearchQuery,
} from "@codemirror/search"
import type { EditorState } from "@codemirror/state"
import { type Command, type EditorView, type Panel, runScopeHandlers, type ViewUpdate } from "@codemirror/view"
import { type Hit, HitCounter, MOST_COUNTED } from "./hit-counter.ts"

export function findPanel(view: EditorView): Panel {
  const query = getSearchQuery(view.state)
  const search = field("Find", query.search)
  search.setAttribute("main-field", "true")
  const replace = field("Replace with", query.replace)
  replace.className = "with"
  const found = document.createElement("output")
  const counter = new HitCounter(() => tell())
  const tell = () => (found.textContent = getSearchQuery(view.state).search ? describe(counter.hits, view.state) : "")

  const commit = () => {
    const asked = new SearchQuery({ search: search.value, replace: replace.value, literal: true })
    if (!asked.eq(getSearchQuery(view.state))) view.dispatch({ effects: setSearchQuery.of(asked) })
  }
  search.oninput = commit
  replace.oninput = commit

  const dom = document.createElement("div")
  dom.className = "find"
  dom.setAttribute("role", "search")
  dom.append(search, found, button(view, "Previous", "step", findPrevious), button(view, "Next", "step", findNext))
  dom.append(replace, button(view, "Replace", "with", replaceNext), button(view, "Replace all", "with", replaceAll))
  dom.append(button(view, "Close", "close", closeSearchPanel))
  dom.onkeydown = (event) => {
    if (runScopeHandlers(view, event, "search-panel")) event.preventDefault()
    else if (event.key === "Enter" && event.target === search)
      act(event, view, event.shiftKey ? findPrevious : findNext)
    else if (event.key === "Enter" && event.target === replace) act(event, view, replaceNext)
  }
  counter.search(query, view.state)
  return {
    dom,
    top: true,
    mount: () => search.select(),
    update(update: ViewUpdate) {
      for (const effect of update.transactions.flatMap((transaction) => transaction.effects)) {
        if (effect.is(setSearchQuery)) show(effect.value)
      }
      if (update.docChanged) counter.changed(update.state)
      if (update.selectionSet) tell()
    },
    destroy: () => counter.stop(),
  }

  function show(asked: SearchQuery): void {
    if (search.value !== asked.search) search.value = asked.search
    if (replace.value !== asked.replace) replace.value = asked.replace
    counter.search(asked, view.state)
    tell()
  }
}

function field(label: string, value: string): HTMLInputElement {
  const input = document.createElement("input")
  input.placeholder = label
  input.ariaLabel = label
  input.value = value
  return input
}

/** Make a button. `row` is its place on a narrow screen. */
function button(view: EditorView, label: string, row: "close" | "step" | "with", command: Command): HTMLButtonElement {
  const made = document.createElement("button")
  made.type = "button"
  made.className = `button ${row}`
  made.textContent = label
  made.onclick = () => command(view)
  return made
}

function act(event: KeyboardEvent, view: EditorView, command: Command): void {
  event.preventDefault()
  command(view)
}

/** Describe the number of hits, and which of them is selected. */
function describe(hits: readonly Hit[] | null, state: EditorState): string {
  if (!hits) return ""
  if (hits.length === 0) return "not found"
  if (hits.length === MOST_COUNTED) return `more than ${MOST_COUNTED.toLocaleString()}`
  const { from, to } = state.selection.main
  const current = hits.findIndex((hit) => hit.from === from && hit.to === to)
  return current < 0 ? `${hits.length} found` : `${current + 1} of ${hits.length}`
}
