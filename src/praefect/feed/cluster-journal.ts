import { changeUser } from '#base/change-user';
import { parseAs } from '#base/shape';
import type { RepositoryEvent } from '#events/event';
import { TooOldError } from '#events/event-files';
import { type CompactedPart, compactedMarker, type EventSource } from '#events/event-source';
import { type Database, sql } from '../database/database.ts';

/** The state of a feed. */
export interface FeedPosition {
  readonly last: number;
  /** Last event that was compacted. */
  readonly oldest: number;
}

interface EventRow {
  readonly sequence: number;
  readonly kind: RepositoryEvent['kind'];
  readonly path: string;
  readonly previous: string | null;
  readonly name: Buffer | null;
  readonly was: string | null;
  readonly now: string | null;
  readonly time: Date;
  readonly who: string | null;
}

const PAGE = 1000;

/** The events of a virtual storage, in the database. */
export class ClusterJournal implements EventSource {
  readonly #database: Database;
  readonly #storage: string;
  last = 0;
  oldest = 0;
  #news = Promise.withResolvers<void>();

  constructor(database: Database, virtualStorage: string) {
    this.#database = database;
    this.#storage = virtualStorage;
  }

  get news(): Promise<void> {
    return this.#news.promise;
  }

  /** Records the position of the feed. */
  moveTo({ last, oldest }: FeedPosition): void {
    const isNew = last > this.last;
    [this.last, this.oldest] = [last, oldest];
    if (!isNew) return;
    this.#news.resolve();
    this.#news = Promise.withResolvers();
  }

  async *read(after: number): AsyncGenerator<readonly RepositoryEvent[], void, undefined> {
    const end = this.last;
    for (let cursor = after; cursor < end; ) {
      // One statement: events that are removed after it are here.
      const rows = await this.#database.rows(sql<EventRow & { compacted: number }>`
        SELECT compacted, sequence, kind, relative_path AS path, previous_path AS previous,
          reference AS name, old_value AS was, new_value AS now, happened_at AS time,
          changed_by AS who
        FROM gitalyts_feed_state LEFT JOIN gitalyts_feed_events
          ON virtual_storage = ${this.#storage} AND sequence > ${cursor} AND sequence <= ${end}
        ORDER BY sequence LIMIT ${PAGE}`);
      const compacted = rows[0]?.compacted ?? 0;
      if (cursor < compacted) throw new TooOldError(`events up to ${compacted} are no longer kept`);
      const events = rows.filter(({ sequence }) => sequence !== null).map(eventOfRow);
      if (events.length > 0) yield events;
      if (rows.length < PAGE) return;
      cursor = events.at(-1)?.sequence ?? end;
    }
  }

  compacted(): CompactedPart;
  compacted(last: number): CompactedPart | undefined;
  compacted(wanted?: number): CompactedPart | undefined {
    const last = wanted ?? this.last;
    if (last > this.last || last < this.oldest) return undefined;
    const results = this.#results(last);
    async function* batches(): AsyncGenerator<readonly RepositoryEvent[], void, undefined> {
      yield [compactedMarker()];
      yield* results;
    }
    return { last, batches: batches() };
  }

  /**
   * Yields the events, without those that a later event has replaced. An event that is replaced
   * during the reading follows at the end.
   *
   * @throws {TooOldError} when a repository is renamed during the reading: its event would come too
   *   late.
   */
  async *#results(last: number): AsyncGenerator<readonly RepositoryEvent[], void, undefined> {
    for (let cursor = 0; cursor < last; ) {
      const rows = await this.#database.rows(sql<EventRow & { is_moved: boolean }>`
        SELECT results.*, NULL AS previous, NULL AS was, NULL AS who, clock_timestamp() AS time,
          EXISTS (
            SELECT FROM gitalyts_feed_events WHERE virtual_storage = ${this.#storage}
              AND kind = 'renamed' AND sequence > ${last}
          ) AS is_moved
        FROM (
          (SELECT created AS sequence, 'created' AS kind, relative_path AS path, NULL::bytea AS name,
            NULL AS now
          FROM gitalyts_feed_repositories
          WHERE virtual_storage = ${this.#storage} AND created > ${cursor} AND created <= ${last}
          ORDER BY created LIMIT ${PAGE})
          UNION ALL
          (SELECT resync, 'resync', relative_path, NULL, NULL
          FROM gitalyts_feed_repositories
          WHERE virtual_storage = ${this.#storage} AND resync > ${cursor} AND resync <= ${last}
          ORDER BY resync LIMIT ${PAGE})
          UNION ALL
          (SELECT sequence, 'reference', relative_path, name, value
          FROM gitalyts_feed_references JOIN gitalyts_feed_repositories USING (repository_id)
          WHERE virtual_storage = ${this.#storage} AND sequence > ${cursor} AND sequence <= ${last}
          ORDER BY sequence LIMIT ${PAGE})
        ) AS results
        ORDER BY sequence LIMIT ${PAGE}`);
      if (rows[0]?.is_moved === true) throw new TooOldError('a repository was renamed meanwhile');
      if (rows.length > 0) yield rows.map(eventOfRow);
      if (rows.length < PAGE) return;
      cursor = rows.at(-1)?.sequence ?? last;
    }
  }
}

function eventOfRow({
  kind,
  name,
  now,
  path,
  previous,
  sequence,
  time,
  was,
  who,
}: EventRow): RepositoryEvent {
  const user = who === null ? undefined : parseAs(changeUser, who);
  return {
    sequence,
    kind,
    relativePath: path,
    timeMs: time.getTime(),
    ...(name !== null && { reference: name.toString('latin1') }),
    ...(was !== null && { oldValue: was }),
    ...(now !== null && { newValue: now }),
    ...(previous !== null && { previousPath: previous }),
    ...(user && { user }),
  };
}
