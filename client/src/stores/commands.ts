/** Commands: their form, how keys match them, and how they are searched.
 *
 * The keyboard, the list of keys and the palette share one table of commands. */

export interface Command {
  readonly id: string
  readonly name: string
  /** Keys such as `Mod+K`. Mod is Ctrl, or Cmd on a Mac. Alt is Ctrl+Alt on a Mac, where Alt alone types characters. */
  readonly keys?: string
  readonly explains: string
  /** Whether the command is possible now. Absent: always. */
  can?(): boolean
  /** Absent: the editor handles the keys, and the command is only listed. */
  run?(): void
}

/** The keys of a keyboard event. */
export interface Pressed {
  readonly key: string
  readonly code: string
  readonly ctrlKey: boolean
  readonly metaKey: boolean
  readonly altKey: boolean
  readonly shiftKey: boolean
}

/** Whether `pressed` is `keys`. While `typing` in a text field, single characters belong to the text. */
export function matches(keys: string, pressed: Pressed, mac: boolean, typing: boolean): boolean {
  const parts = keys.split("+")
  const last = parts.pop() ?? ""
  const mod = parts.includes("Mod")
  const alt = parts.includes("Alt")
  if (!mod && !alt) return !typing && !pressed.ctrlKey && !pressed.metaKey && !pressed.altKey && pressed.key === last
  const wantsCtrl = mac ? alt : mod
  if (pressed.ctrlKey !== wantsCtrl || pressed.metaKey !== (mac && mod) || pressed.altKey !== alt) return false
  if (pressed.shiftKey !== parts.includes("Shift") && last !== "/") return false
  // With Alt, a keyboard layout may turn a letter key into another character.
  return alt && /^[A-Z]$/.test(last) ? pressed.code === `Key${last}` : pressed.key.toLowerCase() === last.toLowerCase()
}

/** Return the keys as the user's keyboard names them. */
export function spoken(keys: string, mac: boolean): string {
  const names: Record<string, string> = mac ? { Mod: "⌘", Alt: "⌃ ⌥", Shift: "⇧" } : { Mod: "Ctrl" }
  return keys
    .split("+")
    .map((key) => names[key] ?? key)
    .join(mac ? " " : " + ")
}

/** Return the commands whose name or explanation contains every word of `asked`; matches by name come first. */
export function found(commands: readonly Command[], asked: string): readonly Command[] {
  const words = asked.toLowerCase().split(/\s+/).filter(Boolean)
  const holds = (text: string) => words.every((word) => text.toLowerCase().includes(word))
  const byName = commands.filter((command) => holds(command.name))
  return [
    ...byName,
    ...commands.filter((command) => !byName.includes(command) && holds(`${command.name} ${command.explains}`)),
  ]
}
