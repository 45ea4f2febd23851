import type { EventSources } from '#events/event-source';
import type { ServiceImplementation } from '#rpc/server/handler';
import type { EventService } from '#wire/gen/gitalyts/events/v1/events_pb';
import { list } from './list.ts';
import { watch } from './watch.ts';

/** Implements the change feed of this server. */
export function eventService(deps: {
  readonly feed: EventSources;
}): ServiceImplementation<typeof EventService> {
  return {
    list: (request, context) => list(request, context, deps),
    watch: (request, context) => watch(request, context, deps),
  };
}
