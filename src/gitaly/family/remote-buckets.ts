import type { RemoteBuckets } from '#rpc/server/interceptors/limit-concurrency';
import type { Link } from '#workers/link';

/** Returns the buckets of a rate limit that the supervisor keeps for all processes. */
export function remoteBuckets(link: Link, name: string): RemoteBuckets {
  return {
    async take(key) {
      const { value } = await link.ask(`rate ${name}`, key);
      return value === true;
    },
  };
}
