import type { MessageInitShape } from '@bufbuild/protobuf';
import type { ChangeFeed } from '#events/change-feed';
import { isWanted, type RepositoryEvent } from '#events/event';
import type { HandlerContext } from '#rpc/server/handler';
import type { ListRequest, ListResponseSchema } from '#wire/gen/gitalyts/events/v1/events_pb';
import { encodeEvent } from './encode-event.ts';
import { cursorOf, filterOf, refuseOld } from './request.ts';

const MAX_EVENTS = 1000;

/** Returns a page of events. */
export async function list(
  { storageName, after, filter: wanted, limit }: ListRequest,
  { signal }: HandlerContext,
  { feed }: { readonly feed: ChangeFeed },
): Promise<MessageInitShape<typeof ListResponseSchema>> {
  const journal = feed.journal(storageName);
  const filter = filterOf(wanted);
  const count = Math.min(limit === 0 ? MAX_EVENTS : limit, MAX_EVENTS);
  const found: RepositoryEvent[] = [];
  let cursor = cursorOf(after, journal);
  const end = journal.last;
  try {
    for await (const events of journal.read(cursor)) {
      signal.throwIfAborted();
      for (const event of events) {
        if (found.length === count) return page(false);
        cursor = event.sequence;
        if (isWanted(filter, event)) found.push(event);
      }
    }
  } catch (error) {
    refuseOld(error);
  }
  cursor = Math.max(cursor, end);
  return page(true);

  function page(isEnd: boolean) {
    const events = found.map((event) => encodeEvent(storageName, event));
    return { events, cursor: BigInt(cursor), isEnd };
  }
}
