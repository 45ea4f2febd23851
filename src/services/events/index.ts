import { serveWith } from '#rpc/server/handler';
import { EventService } from '#wire/gen/gitalyts/events/v1/events_pb';
import type { EventDependencies } from './dependencies.ts';
import { list } from './list.ts';
import { watch } from './watch.ts';

/** Implements the change feed of this server. */
export function eventService(deps: EventDependencies) {
  return serveWith(EventService, deps, { list, watch });
}
