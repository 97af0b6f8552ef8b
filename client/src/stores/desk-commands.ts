/** What the desk can be told to do, as one table. */

import type { Command } from "./commands.ts"
import type { Desk } from "./desk.svelte.ts"
import type { ThemeChoice } from "./theme.svelte.ts"

/** What is shown over the desk. */
export interface Panels {
  library(): void
  keys(): void
  palette(): void
  voice(): void
}

export function deskCommands(desk: Desk, theme: ThemeChoice, panels: Panels): readonly Command[] {
  const open = () => !!desk.active?.usable
  return [
    { id: "toggle", name: "Start or pause", keys: "Mod+Enter", explains: "Lets the model write, or stops it", can: open, run: () => void desk.toggle() },
    { id: "retry", name: "Retry", keys: "Alt+R", explains: "Writes the last stretch again, differently", can: open, run: () => void desk.retry() },
    { id: "rewind", name: "Undo model", keys: "Alt+Z", explains: "Pauses, and takes back what the model wrote last; it is kept as a version", can: open, run: () => void desk.rewind() },
    { id: "from-here", name: "Continue from here", keys: "Alt+H", explains: "Keeps what follows the caret as a version, and writes on from the caret", can: open, run: () => void desk.continueFromHere() },
    { id: "end", name: "Back to the end", keys: "Alt+E", explains: "Shows where the text grows, and follows it", can: open, run: () => desk.active?.toEnd() },
    { id: "find", name: "Find and replace", keys: "Mod+F", explains: "In all of the text", can: open, run: () => desk.active?.find() },
    { id: "text", name: "Into the text", keys: "Alt+T", explains: "Puts the keyboard back into the text", can: open, run: () => desk.active?.focus() },
    { id: "next", name: "Next draft", keys: "Alt+D", explains: "Goes to the next of the drafts side by side", can: () => desk.sheets.length > 1, run: () => desk.nextSheet() },
    { id: "choose", name: "Go on with this one", keys: "Alt+G", explains: "Leaves this draft alone on the desk and keeps the others", can: () => desk.sheets.length > 1 && open(), run: () => desk.active && void desk.goOnWith(desk.active) },
    { id: "voice", name: "Voice", keys: "Alt+V", explains: "How the model chooses its words", can: open, run: panels.voice },
    { id: "new", name: "New story", keys: "Alt+N", explains: "Clears the desk; everything is kept in the library", run: () => void (location.hash = "#/") },
    { id: "library", name: "Library", keys: "Alt+L", explains: "All your stories", run: panels.library },
    { id: "theme", name: "Light or dark", keys: "Alt+K", explains: "Light, dark, or as the system has it", run: () => theme.next() },
    { id: "palette", name: "All commands", keys: "Mod+K", explains: "Find a command by its name", run: panels.palette },
    { id: "keys", name: "Keys", keys: "?", explains: "Shows this list; in the text with Ctrl or Cmd and /", run: panels.keys },
    { id: "keys-text", name: "Keys, from the text", keys: "Mod+/", explains: "Shows this list", run: panels.keys },
    { id: "undo", name: "Undo", keys: "Mod+Z", explains: "Takes back your own last change, never the model's" },
    { id: "redo", name: "Redo", keys: "Mod+Y", explains: "Makes the change again" },
  ]
}
