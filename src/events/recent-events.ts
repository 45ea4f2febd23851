import type { RepositoryEvent } from './event.ts';

/** Number of events in memory, some 300 bytes each. */
const MAX_EVENTS = 8192;

/** The last events, for the readers that are up to date: they need no file. */
export class RecentEvents {
  #events: RepositoryEvent[] = [];

  /** Adds events whose sequences directly follow the earlier ones. */
  add(events: readonly RepositoryEvent[]): void {
    for (const event of events) this.#events.push(event);
    // Shortened seldom, so that each event is moved once.
    if (this.#events.length > 2 * MAX_EVENTS) this.#events = this.#events.slice(-MAX_EVENTS);
  }

  /** Returns the events after a sequence; `undefined` if they are not all here. */
  after(sequence: number, last: number): readonly RepositoryEvent[] | undefined {
    if (sequence >= last) return [];
    const start = this.#events.findLastIndex((event) => event.sequence <= sequence + 1);
    return this.#events[start]?.sequence === sequence + 1 ? this.#events.slice(start) : undefined;
  }
}
