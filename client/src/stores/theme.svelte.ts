/** Light, dark, or as the system has it; remembered on this device where that is possible. */

export type Theme = "system" | "light" | "dark"

const KEY = "storygen-theme"
const NEXT: Record<Theme, Theme> = { system: "light", light: "dark", dark: "system" }

export class ThemeChoice {
  theme = $state<Theme>(stored())

  constructor() {
    this.apply()
  }

  next(): void {
    this.theme = NEXT[this.theme]
    this.apply()
    try {
      localStorage.setItem(KEY, this.theme)
    } catch (error) {
      // Storage may be forbidden; then the choice lasts as long as the page.
      if (!(error instanceof DOMException)) throw error
    }
  }

  private apply(): void {
    document.documentElement.style.colorScheme = this.theme === "system" ? "light dark" : this.theme
  }
}

function stored(): Theme {
  try {
    const theme = localStorage.getItem(KEY)
    return theme === "light" || theme === "dark" ? theme : "system"
  } catch (error) {
    if (!(error instanceof DOMException)) throw error
    return "system"
  }
}
