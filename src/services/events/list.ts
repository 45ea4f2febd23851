import { isWanted, type RepositoryEvent } from '#events/event';
import type { EventSource } from '#events/event-source';
import type { ListRequest } from '#wire/gen/gitalyts/events/v1/events_pb';
import type { Handlers } from './dependencies.ts';
import { encodeEvent } from './encode-event.ts';
import { cursorOf, filterOf, refuseOld } from './request.ts';

const MAX_EVENTS = 1000;

export const list: Handlers['list'] = async (request, { signal }, { feed }) => {
  const { storageName, limit } = request;
  const journal = await feed.journal(storageName);
  const filter = filterOf(request.filter);
  const count = Math.min(limit === 0 ? MAX_EVENTS : limit, MAX_EVENTS);
  const found: RepositoryEvent[] = [];
  // Read before the events: the client needs nothing about events that are written later.
  const { id = '' } = journal;
  let cursor = 0;
  try {
    const { start, batches, compactedTo, end } = partOf(journal, request);
    cursor = Math.max(start, 0);
    for await (const events of batches) {
      signal.throwIfAborted();
      for (const event of events) {
        if (event.sequence <= start) continue;
        if (found.length === count) return page({ isEnd: false, compactedTo });
        cursor = event.sequence;
        if (isWanted(filter, event)) found.push(event);
      }
    }
    cursor = Math.max(cursor, end);
    return page({ isEnd: cursor >= journal.last, compactedTo: 0 });
  } catch (error) {
    refuseOld(error);
  }

  function page(part: { readonly isEnd: boolean; readonly compactedTo: number }) {
    const events = found.map((event) => encodeEvent(storageName, event));
    return {
      events,
      cursor: BigInt(cursor),
      isEnd: part.isEnd,
      compactedTo: BigInt(part.compactedTo),
      journal: id,
    };
  }
};

interface Part {
  /** Only events with greater numbers are wanted. */
  readonly start: number;
  readonly batches: AsyncIterable<readonly RepositoryEvent[]>;
  /** Sequence of the last compacted event; 0 for other events. */
  readonly compactedTo: number;
  /** Cursor behind the part. */
  readonly end: number;
}

/** Returns the part of the feed with a page. @throws {GitalyError} OUT_OF_RANGE; {TooOldError} */
function partOf(journal: EventSource, { after, compactedTo }: ListRequest): Part {
  const cursor = cursorOf(after, journal);
  const isStart = cursor === 0 && compactedTo === 0n;
  if (compactedTo > 0n || (isStart && journal.oldest > 0)) {
    const { batches, last } = journal.compacted(isStart ? undefined : Number(compactedTo));
    return { start: isStart ? -1 : cursor, batches, compactedTo: last, end: last };
  }
  return { start: cursor, batches: journal.read(cursor), compactedTo: 0, end: journal.last };
}
