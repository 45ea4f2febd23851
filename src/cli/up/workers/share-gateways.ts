import { nothing } from '#base/shape';
import { ClientSlots } from '#gateway/client-slots';
import type { GatewayFamily, GatewayState } from '#gateway/family';
import { PENDING_CHECKS } from '#gateway/http/auth/secret-checker';
import { DEFAULT_HTTP_LIMITS, type HttpLimits } from '#gateway/http/limits/http-limits';
import { gatewayState } from '#gateway/http/limits/http-state';
import type { Slots } from '#gateway/slots';
import type { Supervising } from '#workers/family';
import { protocol, remote, told } from '#workers/protocol';
import { type SharePagesOptions, sharePages } from './pages-by-link.ts';
import { shareRepositories } from './repositories-by-link.ts';
import { shareSlots } from './slots-by-link.ts';

/** Messages to the gateways of workers. */
export const GATEWAYS = protocol('gateways', {
  /** Read changed files now, and open the access log again. */
  reload: told(nothing),
});

/** State that is one for the gateways of all processes. */
export interface SharedByGateways extends GatewayState {
  /** Passwords that wait to be checked. */
  readonly logins: Slots;
}

export function sharedByGateways(limits: Partial<HttpLimits>): SharedByGateways {
  return { ...gatewayState({ ...DEFAULT_HTTP_LIMITS, ...limits }), logins: new ClientSlots(PENDING_CHECKS) };
}

/** The gateways' side of a supervisor. */
export class GatewaySupervisor {
  readonly #family: Supervising;
  readonly #state: SharedByGateways;
  #pages: SharePagesOptions | undefined;

  constructor(family: Supervising, state: SharedByGateways) {
    this.#family = family;
    this.#state = state;
    const { desk } = family;
    for (const kind of ['calls', 'requests', 'events', 'logins'] as const)
      shareSlots(desk, kind, state[kind]);
    shareRepositories(desk, state.newRepositories);
    sharePages(desk, () => this.#pages);
  }

  of(transport: 'http' | 'ssh'): GatewayFamily {
    return {
      state: this.#state,
      sharing: {
        role: 'supervisor',
        handOver: (socket, follow) => this.#family.follow(socket, transport, follow),
      },
    };
  }

  sharePages(options: SharePagesOptions): void {
    this.#pages = options;
  }

  reload(): void {
    for (const { link } of this.#family.workers()) remote(link, GATEWAYS).reload();
  }
}
