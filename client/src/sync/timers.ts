/** Timers: named timeouts, and a signal to wait for. */

/** A set of timers with at most one per name. */
export class Timers {
  private readonly running = new Map<string, ReturnType<typeof setTimeout>>()
  private stopped = false

  /** Call `act` after `ms`. A running timer of the same name is replaced. */
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

  /** Call `act` after `ms`, unless a timer of the same name is running. */
  within(name: string, ms: number, act: () => void): void {
    if (!this.running.has(name)) this.after(name, ms, act)
  }

  /** Cancel all timers and start no more. */
  stop(): void {
    this.stopped = true
    for (const timer of this.running.values()) clearTimeout(timer)
  }
}

/** A condition that may have changed. */
export class Signal {
  private readonly waiters = new Set<() => void>()

  /** Resolve every promise that `next` has returned so far. */
  notify(): void {
    for (const wake of this.waiters) wake()
  }

  /** Wait for the next `notify`, at most `limit` ms. */
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
