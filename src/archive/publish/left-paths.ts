import { BoundedMap } from '#base/memory/bounded-map';
import type { RepositoryEvent } from '#events/event';
import { TooOldError } from '#events/event-files';
import type { EventSource } from '#events/event-source';

export interface LeftPathsOptions {
  readonly journal: Pick<EventSource, 'last' | 'read'>;
  /** Returns the last event of those that are all archived. */
  readonly archived: () => number;
}

/** Paths that are remembered; of more of them, the earliest are forgotten. */
const MAX_PATHS = 10_000;

/**
 * The paths whose repositories were removed or renamed, according to the journal: behind the
 * changes, another repository may be on the disk at the path of an event. An event is in the
 * journal before the next repository is at the path.
 */
export class LeftPaths {
  readonly #options: LeftPathsOptions;
  /** The last event after which a repository is no longer at a path. */
  readonly #left = new BoundedMap<string, number>({ maxEntries: MAX_PATHS, order: 'insertion' });
  /** All events up to this one were read. */
  #position = 0;
  #reading: Promise<void> = Promise.resolve();

  constructor(options: LeftPathsOptions) {
    this.#options = options;
  }

  /**
   * Reports whether the repository that was at a path at an event has left it since.
   *
   * @param sequence of the event: not before those that are archived.
   */
  async hasLeft(path: string, sequence: number): Promise<boolean> {
    const reading = this.#reading.then(() => this.#read());
    this.#reading = reading.catch(() => {});
    await reading;
    return (this.#left.get(path) ?? 0) > sequence;
  }

  /** Reads what the journal has by now: each event once, in normal operation a few. */
  async #read(): Promise<void> {
    const { archived, journal } = this.#options;
    const { last } = journal;
    this.#position = Math.max(this.#position, archived());
    if (this.#position >= last) return;
    try {
      for await (const events of journal.read(this.#position)) this.#note(events);
    } catch (error) {
      if (!(error instanceof TooOldError)) throw error; // after a gap, everything is compared
    }
    this.#position = Math.max(this.#position, last);
  }

  #note(events: readonly RepositoryEvent[]): void {
    for (const { kind, previousPath, relativePath, sequence } of events) {
      const path = kind === 'removed' ? relativePath : kind === 'renamed' ? previousPath : undefined;
      if (path !== undefined) this.#left.set(path, sequence);
      this.#position = Math.max(this.#position, sequence);
    }
  }
}
