import { changeUser } from '#base/change-user';
import { parseAs } from '#base/shape';
import type { RepositoryEvent } from '#events/event';
import { TooOldError } from '#events/event-files';
import { compactedMarker, FollowedEvents } from '#events/event-source';
import { type Database, sql } from '../database/database.ts';

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

type Batches = AsyncGenerator<readonly RepositoryEvent[], void, undefined>;

/** Returns the events of a virtual storage, in the database. */
export function clusterJournal(database: Database, storage: string): FollowedEvents {
  return new FollowedEvents((position) => ({
    read: (after) => eventsAfter(database, storage, after, position.last),
    compacted(last = position.last) {
      if (last > position.last || last < position.oldest)
        throw new TooOldError(`events up to ${position.oldest} were compacted`);
      return { last, batches: compactedUpTo(database, storage, last) };
    },
  }));
}

async function* eventsAfter(database: Database, storage: string, after: number, end: number): Batches {
  for (let cursor = after; cursor < end; ) {
    // One statement: events that are removed after it are here.
    const rows = await database.rows(sql<EventRow & { compacted: number }>`
      SELECT compacted, sequence, kind, relative_path AS path, previous_path AS previous,
        reference AS name, old_value AS was, new_value AS now, happened_at AS time,
        changed_by AS who
      FROM gitalyts_feed_state LEFT JOIN gitalyts_feed_events
        ON virtual_storage = ${storage} AND sequence > ${cursor} AND sequence <= ${end}
      ORDER BY sequence LIMIT ${PAGE}`);
    const compacted = rows[0]?.compacted ?? 0;
    if (cursor < compacted) throw new TooOldError(`events up to ${compacted} are no longer kept`);
    const events = rows.filter(({ sequence }) => sequence !== null).map(eventOfRow);
    if (events.length > 0) yield events;
    if (rows.length < PAGE) return;
    cursor = events.at(-1)?.sequence ?? end;
  }
}

/**
 * Yields the events, without those that a later event has replaced. An event that is replaced
 * during the reading follows at the end.
 *
 * @throws {TooOldError} when a repository is renamed during the reading: its event would come too
 *   late.
 */
async function* compactedUpTo(database: Database, storage: string, last: number): Batches {
  yield [compactedMarker()];
  for (let cursor = 0; cursor < last; ) {
    const rows = await database.rows(sql<EventRow & { is_moved: boolean }>`
      SELECT results.*, NULL AS previous, NULL AS was, NULL AS who, clock_timestamp() AS time,
        EXISTS (
          SELECT FROM gitalyts_feed_events WHERE virtual_storage = ${storage}
            AND kind = 'renamed' AND sequence > ${last}
        ) AS is_moved
      FROM (
        (SELECT created AS sequence, 'created' AS kind, relative_path AS path, NULL::bytea AS name,
          NULL AS now
        FROM gitalyts_feed_repositories
        WHERE virtual_storage = ${storage} AND created > ${cursor} AND created <= ${last}
        ORDER BY created LIMIT ${PAGE})
        UNION ALL
        (SELECT resync, 'resync', relative_path, NULL, NULL
        FROM gitalyts_feed_repositories
        WHERE virtual_storage = ${storage} AND resync > ${cursor} AND resync <= ${last}
        ORDER BY resync LIMIT ${PAGE})
        UNION ALL
        (SELECT sequence, 'reference', relative_path, name, value
        FROM gitalyts_feed_references JOIN gitalyts_feed_repositories USING (repository_id)
        WHERE virtual_storage = ${storage} AND sequence > ${cursor} AND sequence <= ${last}
        ORDER BY sequence LIMIT ${PAGE})
      ) AS results
      ORDER BY sequence LIMIT ${PAGE}`);
    if (rows[0]?.is_moved === true) throw new TooOldError('a repository was renamed meanwhile');
    if (rows.length > 0) yield rows.map(eventOfRow);
    if (rows.length < PAGE) return;
    cursor = rows.at(-1)?.sequence ?? last;
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
