import { type CallersLimit, Limit, type LimitPolicy } from '#base/limits/limit';
import { TokenBuckets, type TokenBucketsOptions } from '#base/limits/token-buckets';
import { type PackPlaces, TotalLimit } from '#domain/pack-objects/total-limit';
import type { RateLimit } from '#rpc/server/interceptors/limit-concurrency';
import type { ProcessFamily } from '#workers/family';
import { named, remote } from '#workers/protocol';
import { RemoteLimit } from '../family/remote-limit.ts';
import { RemotePackPlaces } from '../family/remote-pack-places.ts';
import { RATE, shareBuckets, shareLimit, sharePlaces } from '../family/share-limits.ts';

/** The policy of a limit of how many callers hold the same key. */
type KeyedPolicy = LimitPolicy & { readonly capacityPerOwner: number };

/** Makes the limits of a server. `name` is the key of the configuration. */
export interface LimitFactory {
  keyed(name: string, policy: KeyedPolicy): CallersLimit;
  buckets(name: string, options: TokenBucketsOptions): RateLimit['buckets'];
  packs(name: string, policy: LimitPolicy): PackPlaces;
}

/**
 * Returns the factory of limits: local ones in a single process; ones that workers use as well in a
 * supervisor; ones that call the supervisor in a worker.
 */
export function limitFactory(family: ProcessFamily | undefined): LimitFactory {
  if (family?.role === 'worker') {
    const { link } = family;
    return {
      keyed: (name, { capacityPerOwner }) => new RemoteLimit(link, name, capacityPerOwner),
      buckets: (name) => remote(link, named(RATE, name)),
      packs: (name) => new RemotePackPlaces(link, name),
    };
  }
  const desk = family?.desk;
  return {
    keyed: (name, policy) => {
      const limit = new Limit<string>(policy);
      if (desk !== undefined) shareLimit(desk, name, limit);
      return limit;
    },
    buckets: (name, options) => {
      const buckets = new TokenBuckets(options);
      if (desk !== undefined) shareBuckets(desk, name, buckets);
      return buckets;
    },
    packs: (name, policy) => {
      const places = new TotalLimit(policy);
      if (desk !== undefined) sharePlaces(desk, name, places);
      return places;
    },
  };
}
