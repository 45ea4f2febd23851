import { ClientSlots } from '#gateway/client-slots';
import type { GatewayState } from '#gateway/family';
import { RememberedRepositories } from '#gateway/new-repositories';
import { MAX_STREAMS } from '../events/event-streams.ts';
import type { HttpLimits } from './http-limits.ts';

/** Requests to the API that are remembered for a minute. */
const MAX_COUNTED_CALLS = 100_000;

/**
 * Returns the state that the gateways of all processes of a server share, for the process that owns
 * it.
 */
export function gatewayState({
  maxApiRequestsPerMinute,
  maxRequests,
  maxRequestsPerClient,
}: HttpLimits): GatewayState {
  return {
    calls: new ClientSlots({ total: MAX_COUNTED_CALLS, perClient: maxApiRequestsPerMinute }),
    requests: new ClientSlots({ total: maxRequests, perClient: maxRequestsPerClient }),
    events: new ClientSlots({ total: MAX_STREAMS, perClient: MAX_STREAMS }),
    newRepositories: new RememberedRepositories(),
  };
}
