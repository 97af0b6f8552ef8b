/** Theme: light, dark, or the system's setting. Remembered on this device, if its storage allows. */

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
      // Storage may be forbidden. The choice then lasts as long as the page.
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
