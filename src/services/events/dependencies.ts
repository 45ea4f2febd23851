import type { EventSources } from '#events/event-source';
import type { HandlersOf } from '#rpc/server/handler';
import type { EventService } from '#wire/gen/gitalyts/events/v1/events_pb';

export interface EventDependencies {
  readonly feed: EventSources;
}

export type Handlers = HandlersOf<typeof EventService, EventDependencies>;
