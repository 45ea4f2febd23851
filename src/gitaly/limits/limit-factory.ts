import type { FairLimitOptions } from '#base/limits/fair-limit';
import { type CallersLimit, KeyedLimit, type KeyedLimitOptions } from '#base/limits/keyed-limit';
import { TokenBuckets, type TokenBucketsOptions } from '#base/limits/token-buckets';
import { type PackPlaces, TotalLimit } from '#domain/pack-objects/total-limit';
import type { RateLimit } from '#rpc/server/interceptors/limit-concurrency';
import type { Family } from '#workers/family';
import { answerForBuckets, answerForLimit, answerForPacks } from '../family/limit-answers.ts';
import { RemoteLimit } from '../family/remote-limit.ts';
import { RemotePackPlaces } from '../family/remote-pack-places.ts';

/** Makes the limits of a server. `name` is the key of the configuration. */
export interface LimitFactory {
  keyed(name: string, options: KeyedLimitOptions): CallersLimit;
  buckets(name: string, options: TokenBucketsOptions): RateLimit['buckets'];
  packs(name: string, options: FairLimitOptions): PackPlaces;
}

/**
 * Returns the factory of limits: local ones in a single process; ones that workers use as well in a
 * supervisor; ones that call the supervisor in a worker.
 */
export function limitFactory(family: Family | undefined): LimitFactory {
  if (family?.role === 'worker') {
    const { link } = family;
    return {
      keyed: (name, { maxConcurrency }) => new RemoteLimit(link, name, maxConcurrency),
      buckets: (name) => ({ take: async (key) => (await link.ask(`rate ${name}`, key)).value === true }),
      packs: (name) => new RemotePackPlaces(link, name),
    };
  }
  const desk = family?.desk;
  return {
    keyed: (name, options) => {
      const limit = new KeyedLimit(options);
      desk?.onAsked(`limit ${name}`, answerForLimit(limit));
      return limit;
    },
    buckets: (name, options) => {
      const buckets = new TokenBuckets(options);
      desk?.onAsked(`rate ${name}`, answerForBuckets(buckets));
      return buckets;
    },
    packs: (name, options) => {
      const places = new TotalLimit(options);
      desk?.onAsked(`packs ${name}`, answerForPacks(places));
      return places;
    },
  };
}
