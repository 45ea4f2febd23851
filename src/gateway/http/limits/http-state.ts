import { ClientSlots } from '#gateway/client-slots';
import type { GatewayState } from '#gateway/family';
import { RememberedRepositories } from '#gateway/new-repositories';
import { MAX_STREAMS } from '../events/event-streams.ts';
import type { HttpLimits } from './http-limits.ts';

/**
 * Returns the state that the gateways of all processes of a server share, for the process that owns
 * it.
 */
export function gatewayState({ maxRequests, maxRequestsPerClient }: HttpLimits): GatewayState {
  return {
    requests: new ClientSlots({ total: maxRequests, perClient: maxRequestsPerClient }),
    events: new ClientSlots({ total: MAX_STREAMS, perClient: MAX_STREAMS }),
    newRepositories: new RememberedRepositories(),
  };
}
