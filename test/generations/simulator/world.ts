import { type Random, seededRandom } from '#testkit/repositories/random-history';

interface Event {
  readonly atMs: number;
  readonly order: number;
  readonly work: () => void;
}

/** A failure of the protocol that the checker has found. */
export class Violation extends Error {
  override readonly name = 'Violation';
}

const MAX_TRACE = 20_000;

/**
 * Time, chance and the order of events of one run. All that is asynchronous in a run is an event,
 * so that the same seed gives the same run.
 */
export class World {
  nowMs = 0;
  readonly random: Random;
  readonly trace: string[] = [];
  readonly isTraced: boolean;
  violation: Violation | undefined;
  #events: Event[] = [];
  #order = 0;

  constructor(seed: number, { isTraced = false }: { readonly isTraced?: boolean } = {}) {
    this.random = seededRandom(seed);
    this.isTraced = isTraced;
  }

  chance(probability: number): boolean {
    return this.random() < probability;
  }

  below(limit: number): number {
    return Math.floor(this.random() * limit);
  }

  pick<T>(values: readonly T[]): T {
    const value = values[this.below(values.length)];
    if (value === undefined) throw new Error('nothing to pick from');
    return value;
  }

  /** Returns a number between two, evenly distributed over their orders of magnitude. */
  spread(least: number, most: number): number {
    return least * (most / least) ** this.random();
  }

  /** Notes a step, if the run is traced. */
  note(text: () => string): void {
    if (this.isTraced && this.trace.length < MAX_TRACE)
      this.trace.push(`${(this.nowMs / 1000).toFixed(3).padStart(9)} ${text()}`);
  }

  fail(message: string): void {
    this.note(() => `=> ${message}`);
    this.violation ??= new Violation(message);
  }

  at(delayMs: number, work: () => void): void {
    const event = { atMs: this.nowMs + delayMs, order: this.#order++, work };
    const events = this.#events;
    let index = events.length;
    events.push(event);
    while (index > 0) {
      const parent = (index - 1) >> 1;
      const above = events[parent];
      if (above === undefined || isBefore(above, event)) break;
      events[index] = above;
      index = parent;
    }
    events[index] = event;
  }

  /** Waits in simulated time. */
  sleep(ms: number): Promise<void> {
    return new Promise((resolve) => this.at(ms, resolve));
  }

  /** Runs events until there are none, time is over, or the checker has found a violation. */
  async run(untilMs: number): Promise<void> {
    for (;;) {
      if (this.violation !== undefined) return;
      const event = (this.#events[0]?.atMs ?? untilMs) < untilMs ? this.#next() : undefined;
      this.nowMs = event?.atMs ?? untilMs;
      if (event === undefined) return;
      event.work();
      await new Promise(process.nextTick); // all promises that follow from the event have run
    }
  }

  #next(): Event | undefined {
    const events = this.#events;
    const first = events[0];
    const last = events.pop();
    if (last === undefined || first === undefined || events.length === 0) return first;
    let index = 0;
    for (;;) {
      const [left, right] = [events[2 * index + 1], events[2 * index + 2]];
      const isRight = left !== undefined && right !== undefined && isBefore(right, left);
      const child = isRight ? right : left;
      if (child === undefined || isBefore(last, child)) break;
      events[index] = child;
      index = 2 * index + (isRight ? 2 : 1);
    }
    events[index] = last;
    return first;
  }
}

function isBefore(one: Event, other: Event): boolean {
  return one.atMs < other.atMs || (one.atMs === other.atMs && one.order < other.order);
}
