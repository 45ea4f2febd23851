import { LinkedForks } from '#domain/fork/linked-forks';
import { limitFactory } from '../limits/limit-factory.ts';
import type { ServiceFoundation } from './service-foundation.ts';

/** Returns the operation that creates forks. It is limited across all processes of the server. */
export function linkedForksOf({
  family,
  storages,
}: Pick<ServiceFoundation, 'family' | 'storages'>): LinkedForks {
  return new LinkedForks(storages, limitFactory(family).keyed('(forks)', { capacityPerOwner: 1 }));
}
