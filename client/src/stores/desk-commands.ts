/** Desk commands: the table of every command of the page. */

import type { Command } from "./commands.ts"
import type { Desk } from "./desk.svelte.ts"
import type { ThemeChoice } from "./theme.svelte.ts"

/** The panels and dialogs that commands open. */
export interface Panels {
  library(): void
  keys(): void
  palette(): void
  voice(): void
}

export function deskCommands(desk: Desk, theme: ThemeChoice, panels: Panels): readonly Command[] {
  const open = () => !!desk.active?.usable
  return [
    {
      id: "toggle", name: "Start or pause", keys: "Mod+Enter",
      explains: "Starts the model, or pauses it",
      can: open, run: () => void desk.toggle(),
    },
    {
      id: "retry", name: "Retry", keys: "Alt+R",
      explains: "Writes the model's last passage again; the old one is kept as a version",
      can: open, run: () => void desk.retry(),
    },
    {
      id: "rewind", name: "Undo model", keys: "Alt+Z",
      explains: "Pauses and removes the model's last passage; it is kept as a version",
      can: open, run: () => void desk.rewind(),
    },
    {
      id: "from-here", name: "Continue from here", keys: "Alt+H",
      explains: "Writes on from the caret; the text after it is kept as a version",
      can: open, run: () => void desk.continueFromHere(),
    },
    {
      id: "end", name: "Back to the end", keys: "Alt+E",
      explains: "Scrolls to the end of the text and follows it",
      can: open, run: () => desk.active?.toEnd(),
    },
    {
      id: "find", name: "Find and replace", keys: "Mod+F",
      explains: "Searches the whole text",
      can: open, run: () => desk.active?.find(),
    },
    {
      id: "text", name: "Go to the text", keys: "Alt+T",
      explains: "Moves the keyboard focus to the text",
      can: open, run: () => desk.active?.focus(),
    },
    {
      id: "next", name: "Next draft", keys: "Alt+D",
      explains: "Moves to the next of the drafts side by side",
      can: () => desk.sheets.length > 1, run: () => desk.nextSheet(),
    },
    {
      id: "choose", name: "Continue with this draft", keys: "Alt+G",
      explains: "Shows and continues only this draft; the others are kept",
      can: () => desk.sheets.length > 1 && open(), run: () => desk.active && void desk.continueWith(desk.active),
    },
    {
      id: "voice", name: "Voice", keys: "Alt+V",
      explains: "Shows how the model chooses words",
      can: open, run: panels.voice,
    },
    {
      id: "new", name: "New story", keys: "Alt+N",
      explains: "Clears the desk; your stories are kept in the library",
      run: () => void (location.hash = "#/"),
    },
    {
      id: "library", name: "Library", keys: "Alt+L",
      explains: "Shows all your stories",
      run: panels.library,
    },
    {
      id: "theme", name: "Light or dark", keys: "Alt+K",
      explains: "Switches between light, dark and the system's setting",
      run: () => theme.next(),
    },
    {
      id: "palette", name: "All commands", keys: "Mod+K",
      explains: "Finds a command by its name",
      run: panels.palette,
    },
    {
      id: "keys", name: "Keyboard shortcuts", keys: "?",
      explains: "Shows this list",
      run: panels.keys,
    },
    {
      id: "keys-text", name: "Keyboard shortcuts, also in the text", keys: "Mod+/",
      explains: "Shows this list while you write",
      run: panels.keys,
    },
    {
      id: "undo", name: "Undo", keys: "Mod+Z",
      explains: "Undoes your own last change, never the model's",
    },
    {
      id: "redo", name: "Redo", keys: "Mod+Y",
      explains: "Makes the undone change again",
    },
  ]
}
