import type { ServedService } from '#rpc/server/handler';
import { eventService } from '#services/events/index';
import { ClusterFeed, type ClusterFeedOptions } from './cluster-feed.ts';

/** A change feed that makes events, and its RPCs. */
export interface ServedFeed {
  readonly feed: ClusterFeed;
  readonly service: ServedService;
}

export async function startFeed(options: ClusterFeedOptions): Promise<ServedFeed> {
  const feed = await ClusterFeed.open(options);
  return { feed, service: eventService({ feed }) };
}
