/** Waiting, in the two ways the sync code does: named timers, and for the next change of anything. */

/** One timer per name. */
export class Timers {
  private readonly running = new Map<string, ReturnType<typeof setTimeout>>()
  private stopped = false

  /** Acts after `ms`; a timer of that name that still runs is replaced. */
  after(name: string, ms: number, act: () => void): void {
    if (this.stopped) return
    clearTimeout(this.running.get(name))
    this.running.set(
      name,
      setTimeout(() => {
        this.running.delete(name)
        act()
      }, ms),
    )
  }

  /** Acts after `ms`, unless a timer of that name runs already. */
  within(name: string, ms: number, act: () => void): void {
    if (!this.running.has(name)) this.after(name, ms, act)
  }

  /** Ends all timers, and lets none begin. */
  stop(): void {
    this.stopped = true
    for (const timer of this.running.values()) clearTimeout(timer)
  }
}

export class Signal {
  private readonly waiters = new Set<() => void>()

  /** Wakes everybody who waits now. */
  notify(): void {
    for (const wake of this.waiters) wake()
  }

  /** Resolves at the next `notify`, or after `limit` ms. */
  next(limit: number): Promise<void> {
    return new Promise((resolve) => {
      const wake = () => {
        clearTimeout(timer)
        this.waiters.delete(wake)
        resolve()
      }
      const timer = setTimeout(wake, limit)
      this.waiters.add(wake)
    })
  }
}
