import { abortable } from '#base/async/abortable';
import { limitedSignal } from '#base/async/limited-signal';
import { timeLeftMs } from '#base/async/time-left';
import { GitalyError } from '#base/gitaly-error';
import { isWanted, type RepositoryEvent } from '#events/event';
import type { Handlers } from './dependencies.ts';
import { encodeEvents } from './encode-events.ts';
import { cursorOf, filterOf, refuseOld } from './request.ts';

const DEFAULT_HEARTBEAT_SECONDS = 30;
const MAX_HEARTBEAT_SECONDS = 3600;
const MAX_EVENTS = 1000;
const SECOND_MS = 1000;

/**
 * Sends events from a cursor on until the client or the server stops. No events are held for a slow
 * client.
 */
export const watch: Handlers['watch'] = async function* (
  { storageName, after, fromNow, filter: wanted, heartbeatSeconds },
  { signal },
  { feed },
) {
  const journal = await feed.journal(storageName);
  const filter = filterOf(wanted);
  const beatMs = Math.min(heartbeatSeconds || DEFAULT_HEARTBEAT_SECONDS, MAX_HEARTBEAT_SECONDS) * SECOND_MS;
  let cursor = fromNow ? journal.last : cursorOf(after, journal);
  // Sent at once, so that the client knows its start position.
  yield { cursor: BigInt(cursor) };
  if (!fromNow && cursor === 0 && journal.oldest > 0) {
    const { last, batches } = journal.compacted();
    for await (const events of pagesOf(batches)) {
      const found = events.filter((event) => isWanted(filter, event));
      if (found.length > 0) yield encodeEvents(storageName, found, 0);
    }
    cursor = last;
    yield { cursor: BigInt(cursor) };
  }
  // Events that are not wanted are no reason to be silent: the client needs their cursor, too.
  let beatAtMs = performance.now() + beatMs;
  for (;;) {
    signal.throwIfAborted();
    const { last, news } = journal;
    for await (const events of pagesOf(journal.read(cursor))) {
      cursor = events.at(-1)?.sequence ?? cursor;
      const found = events.filter((event) => isWanted(filter, event));
      if (found.length === 0 && performance.now() < beatAtMs) continue;
      yield found.length > 0 ? encodeEvents(storageName, found, cursor) : { cursor: BigInt(cursor) };
      beatAtMs = performance.now() + beatMs;
    }
    // The others are of other virtual storages, whose events have the same numbers.
    cursor = Math.max(cursor, last);
    if (performance.now() >= beatAtMs) {
      yield { cursor: BigInt(cursor) };
      beatAtMs = performance.now() + beatMs;
    }
    if (journal.last > cursor) continue;
    await newsWithin(news, timeLeftMs(beatAtMs), { signal, ending: feed.ending.signal });
    signal.throwIfAborted();
    if (feed.ending.signal.aborted) throw new GitalyError('UNAVAILABLE', 'the server is stopping');
  }
};

/** Yields events in parts for one message. @throws {GitalyError} OUT_OF_RANGE. */
async function* pagesOf(
  batches: AsyncIterable<readonly RepositoryEvent[]>,
): AsyncGenerator<readonly RepositoryEvent[]> {
  try {
    for await (const events of batches)
      for (let start = 0; start < events.length; start += MAX_EVENTS)
        yield events.slice(start, start + MAX_EVENTS);
  } catch (error) {
    refuseOld(error);
  }
}

/** Waits for further events, for a time at most, or until a signal is aborted. */
async function newsWithin(
  news: Promise<void>,
  limitMs: number,
  { signal, ending }: { readonly signal: AbortSignal; readonly ending: AbortSignal },
): Promise<void> {
  using limited = limitedSignal(limitMs, signal);
  await abortable(abortable(news, limited.signal), ending).catch(() => {}); // the caller looks
}
