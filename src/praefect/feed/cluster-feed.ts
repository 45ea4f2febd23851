import { setTimeout as delay } from 'node:timers/promises';
import { invalidArgument } from '#base/gitaly-error';
import type { EventSource, EventSources, FeedPosition, FollowedEvents } from '#events/event-source';
import { type Database, sql } from '../database/database.ts';
import type { ObservedNodes } from '../nodes/gitaly-node.ts';
import { clusterJournal } from './cluster-journal.ts';
import { createFeed } from './feed-tables.ts';
import { NodeEvents } from './node-events.ts';
import { recordChanges } from './record-changes.ts';

export interface ClusterFeedOptions extends ObservedNodes {
  readonly database: Database;
  /** Age from which events are compacted. */
  readonly maxAgeMs: number;
  /** Number of events that are kept in addition to the compacted ones. */
  readonly maxEvents: number;
  /** Called when changes cannot be read or recorded. */
  readonly onProblem: (error: unknown) => void;
}

/** Time within which changes of other Praefects, and their events, are found. */
const LOOK_MS = 200;
const PROBLEM_PAUSE_MS = 1000;
const COMPACT_EVERY_MS = 60_000;
/** Events are also compacted when an eighth of the limit is new. */
const COMPACT_PART = 8;

/**
 * The changes of a cluster, in its database: one feed for all Praefects. One of them at a time
 * makes events of the changes.
 */
export class ClusterFeed implements EventSources, AsyncDisposable {
  readonly #options: ClusterFeedOptions;
  readonly ending = new AbortController();
  readonly #nodeEvents: NodeEvents;
  readonly #journals: ReadonlyMap<string, FollowedEvents>;
  readonly #running: Promise<void>;
  /** Sequence of the last event. */
  #last = 0;
  /** Resolved by a write. */
  #woken = Promise.withResolvers<void>();

  private constructor(options: ClusterFeedOptions) {
    this.#options = options;
    const { database, nodes, onProblem } = options;
    this.#nodeEvents = new NodeEvents([...nodes.values()].flat(), { onProblem });
    this.#journals = new Map([...nodes.keys()].map((name) => [name, clusterJournal(database, name)]));
    this.#running = this.#run();
  }

  /** Creates the tables that are missing, and starts to make events. */
  static async open(options: ClusterFeedOptions): Promise<ClusterFeed> {
    await createFeed(options.database, [...options.nodes.keys()]);
    return new ClusterFeed(options);
  }

  /** Looks for changes at once. */
  wake(): void {
    this.#woken.resolve();
  }

  /** Returns the events of each virtual storage, those of other Praefects included. */
  async journals(): Promise<readonly { readonly storage: string; readonly journal: EventSource }[]> {
    await this.#look();
    return [...this.#journals].map(([storage, journal]) => ({ storage, journal }));
  }

  async journal(storageName: string): Promise<EventSource> {
    const journal = this.#journals.get(storageName);
    if (journal === undefined) throw invalidArgument('virtual storage does not exist');
    await this.#look(); // others may have added events
    return journal;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.ending.abort();
    this.wake();
    await this.#running;
    await this.#nodeEvents[Symbol.asyncDispose]();
  }

  async #run(): Promise<void> {
    const { maxEvents, onProblem } = this.#options;
    const { signal } = this.ending;
    let compacted: { readonly timeMs: number; readonly last: number } | undefined;
    while (!signal.aborted) {
      try {
        await this.#work();
        if (
          compacted === undefined ||
          this.#last - compacted.last > maxEvents / COMPACT_PART ||
          performance.now() - compacted.timeMs > COMPACT_EVERY_MS
        ) {
          await this.#compact();
          compacted = { timeMs: performance.now(), last: this.#last };
        }
      } catch (error) {
        if (!signal.aborted) onProblem(error);
        await delay(PROBLEM_PAUSE_MS, undefined, { signal }).catch(() => {}); // the loop ends
      }
    }
  }

  /** Makes events of all changes, and waits for a moment. */
  async #work(): Promise<void> {
    const { woken, timer } = this.#pause();
    // A query is cheaper than the transaction, which seldom finds a change.
    if (await this.#look()) {
      const blocked: number[] = [];
      while (!this.ending.signal.aborted) {
        const done = await recordChanges({ ...this.#options, nodeEvents: this.#nodeEvents }, blocked);
        if (done === undefined || done.isEnd) break;
        blocked.push(...done.blocked);
      }
      await this.#look();
    }
    await woken;
    clearTimeout(timer);
  }

  #pause(): { readonly woken: Promise<void>; readonly timer: NodeJS.Timeout } {
    this.#woken = Promise.withResolvers();
    const { promise: woken, resolve } = this.#woken;
    return { woken, timer: setTimeout(resolve, LOOK_MS) };
  }

  /** Notifies the journals of new events. @returns whether there are recorded changes. */
  async #look(): Promise<boolean> {
    const row = await this.#options.database.row(sql<FeedPosition & { hasChanges: boolean }>`
      SELECT last, compacted AS oldest, EXISTS (SELECT FROM gitalyts_feed_changes) AS "hasChanges"
      FROM gitalyts_feed_state`);
    if (row === undefined) throw new Error('the tables of the change feed are empty');
    this.#last = row.last;
    for (const journal of this.#journals.values()) journal.moveTo(row);
    return row.hasChanges;
  }

  /** Removes old events. Their results are in other tables. */
  async #compact(): Promise<void> {
    const { database, maxAgeMs, maxEvents } = this.#options;
    await database.run(sql`
      WITH old AS (
        SELECT greatest(
          coalesce((
            SELECT max(sequence) FROM gitalyts_feed_events
            WHERE happened_at < clock_timestamp() - ${maxAgeMs} * interval '1 millisecond'
          ), 0),
          last - ${maxEvents}
        ) AS sequence
        FROM gitalyts_feed_state
      ), moved AS (
        UPDATE gitalyts_feed_state SET compacted = old.sequence FROM old
        WHERE compacted < old.sequence RETURNING compacted
      )
      DELETE FROM gitalyts_feed_events WHERE sequence <= (SELECT compacted FROM moved)`);
  }
}
