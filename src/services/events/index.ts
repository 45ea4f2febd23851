import type { EventSources } from '#events/event-source';
import { type ServedService, serve } from '#rpc/server/handler';
import { EventService } from '#wire/gen/gitalyts/events/v1/events_pb';
import { list } from './list.ts';
import { watch } from './watch.ts';

/** Implements the change feed of this server. */
export function eventService(deps: { readonly feed: EventSources }): ServedService {
  return serve(EventService, {
    list: (request, context) => list(request, context, deps),
    watch: (request, context) => watch(request, context, deps),
  });
}
