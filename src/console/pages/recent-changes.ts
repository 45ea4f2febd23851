import { codeOf } from '#base/gitaly-error';
import type { Connection } from '#client/connection';
import { decodeEvent, type RepositoryEvent } from '#client/watch-events';
import { EventService } from '#wire/gen/gitalyts/events/v1/events_pb';

/** Changes of a repository in the change feed. */
export interface RecentChanges {
  /** The latest first. */
  readonly events: readonly RepositoryEvent[];
  /** Number of the storage's last events that were searched; `undefined`: all. */
  readonly searched: number | undefined;
}

export interface RecentChangesOptions {
  readonly storage: string;
  readonly path: string;
  readonly calls: { readonly signal: AbortSignal; readonly timeoutMs: number };
}

const MAX_CHANGES = 50;
/** Events of all repositories that are searched: the first of these numbers that is still stored. */
const SEARCHED = [20_000, 1000, 100] as const;

/**
 * Returns the latest changes of a repository; `undefined` from a server without a change feed.
 *
 * @throws the error of a call.
 */
export async function recentChanges(
  connection: Connection,
  options: RecentChangesOptions,
): Promise<RecentChanges | undefined> {
  try {
    const last = await lastCursor(connection, options);
    for (const searched of SEARCHED) {
      const start = last - BigInt(searched);
      const events = await changesAfter(connection, start > 0n ? start : 0n, options);
      if (events !== undefined) return { events, searched: start > 0n ? searched : undefined };
    }
    return { events: [], searched: 0 };
  } catch (error) {
    if (codeOf(error) === 'UNIMPLEMENTED') return undefined;
    throw error;
  }
}

/** Returns the cursor of the feed's last event, which the first message of a watch contains. */
async function lastCursor(connection: Connection, { calls, storage }: RecentChangesOptions): Promise<bigint> {
  const ending = new AbortController();
  const signal = AbortSignal.any([calls.signal, ending.signal]);
  const messages = connection
    .client(EventService)
    .watch({ storageName: storage, fromNow: true }, { ...calls, signal });
  try {
    for await (const { cursor } of messages) return cursor;
    return 0n;
  } finally {
    ending.abort();
  }
}

/** Returns the last changes after a cursor; `undefined` if the events after it are not kept. */
async function changesAfter(
  connection: Connection,
  start: bigint,
  { calls, path, storage }: RecentChangesOptions,
): Promise<RepositoryEvent[] | undefined> {
  const filter = { pathPrefix: path };
  let found: RepositoryEvent[] = [];
  let [after, compactedTo] = [start, 0n];
  try {
    for (let isEnd = false; !isEnd; ) {
      const page = await connection
        .client(EventService)
        .list({ storageName: storage, after, compactedTo, filter }, calls);
      const own = page.events.map(decodeEvent).filter(({ relativePath }) => relativePath === path);
      found = [...found, ...own].slice(-MAX_CHANGES);
      ({ isEnd, cursor: after, compactedTo } = page);
    }
  } catch (error) {
    if (codeOf(error) === 'OUT_OF_RANGE') return undefined;
    throw error;
  }
  return found.toReversed();
}
