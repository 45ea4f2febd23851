import type { InternalApi } from './internal-api.ts';

/**
 * The API of a server without GitLab: every push is allowed, nothing is counted, there is nothing
 * to check.
 */
export const standAloneApi: InternalApi = {
  standAlone: true,
  allowed: async () => ({ allowed: true, message: '' }),
  preReceive: async () => true,
  postReceive: async () => ({ referenceCounterDecreased: true, messages: [] }),
  upstreamPoolMembers: async () => new Map(),
  check: async () => {
    throw new Error('stub client does not connect to internal API');
  },
};
