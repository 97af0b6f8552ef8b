/** The commands: name, keys, what they do, and when they can. The keyboard, the list of keys and the palette use this one table. */

export interface Command {
  readonly id: string
  readonly name: string
  /** As in `Mod+K`, where Mod is Ctrl, on a Mac Cmd. `Alt` is Ctrl+Alt on a Mac, where Alt alone types characters. */
  readonly keys?: string
  readonly explains: string
  /** Missing: always. */
  can?(): boolean
  /** Missing: the keys belong to the text itself, and are only told of. */
  run?(): void
}

/** The part of a keyboard event that says which keys. */
export interface Pressed {
  readonly key: string
  readonly code: string
  readonly ctrlKey: boolean
  readonly metaKey: boolean
  readonly altKey: boolean
  readonly shiftKey: boolean
}

/** Whether these are the keys that were pressed. `typing`: the keys go into a text field, where single characters belong to the text. */
export function matches(keys: string, pressed: Pressed, mac: boolean, typing: boolean): boolean {
  const parts = keys.split("+")
  const last = parts.pop() ?? ""
  const mod = parts.includes("Mod")
  const alt = parts.includes("Alt")
  if (!mod && !alt) return !typing && !pressed.ctrlKey && !pressed.metaKey && !pressed.altKey && pressed.key === last
  const wantsCtrl = mac ? alt : mod
  if (pressed.ctrlKey !== wantsCtrl || pressed.metaKey !== (mac && mod) || pressed.altKey !== alt) return false
  if (pressed.shiftKey !== parts.includes("Shift") && last !== "/") return false
  // With Alt a layout may make another character of a letter's key.
  return alt && /^[A-Z]$/.test(last) ? pressed.code === `Key${last}` : pressed.key.toLowerCase() === last.toLowerCase()
}

/** The keys as this machine's keyboard has them, for people. */
export function spoken(keys: string, mac: boolean): string {
  const names: Record<string, string> = mac ? { Mod: "⌘", Alt: "⌃ ⌥", Shift: "⇧" } : { Mod: "Ctrl" }
  return keys
    .split("+")
    .map((key) => names[key] ?? key)
    .join(mac ? " " : " + ")
}

/** The commands whose name or explanation holds every word of `asked`, those by name first. */
export function found(commands: readonly Command[], asked: string): readonly Command[] {
  const words = asked.toLowerCase().split(/\s+/).filter(Boolean)
  const holds = (text: string) => words.every((word) => text.toLowerCase().includes(word))
  const byName = commands.filter((command) => holds(command.name))
  return [...byName, ...commands.filter((command) => !byName.includes(command) && holds(`${command.name} ${command.explains}`))]
}
