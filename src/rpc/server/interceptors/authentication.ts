import { GitalyError } from '#base/gitaly-error';
import type { Secret } from '#base/secret';
import type { AuthenticationStatus } from '#platform/metrics/gitaly-metrics';
import { AUTHORIZATION } from '#rpc/common/header-names';
import { type TokenErrorReason, type TokenRefusal, tokenChecker } from '#rpc/common/token-auth';
import type { Peer } from '../handler.ts';
import type { ServerInterceptor } from '../server-call.ts';

export interface AuthenticationOptions {
  /** `undefined` accepts every caller. */
  readonly token: Secret | undefined;
  /** Checks and counts tokens, but accepts every caller. */
  readonly transitioning: boolean;
  /** Accepts callers on Unix sockets without a token: only users with access to the file reach them. */
  readonly trustsUnixSockets?: boolean;
  readonly onChecked: (enforced: boolean, status: AuthenticationStatus) => void;
  readonly onTokenError: (reason: TokenErrorReason) => void;
  /** Unix time in milliseconds. */
  readonly now?: () => number;
}

const UNIX_SOCKETS: ReadonlySet<Peer['transport']> = new Set(['unix', 'internal']);

/**
 * Returns the interceptor that accepts calls with a valid token. Public services (health) need
 * none.
 *
 * It runs inside log and status mapping, so that a refusal is logged, and outside the limits, so
 * that a token cannot expire while its call waits.
 */
export function authenticate(options: AuthenticationOptions): ServerInterceptor {
  const {
    token,
    transitioning,
    trustsUnixSockets = false,
    onChecked,
    onTokenError,
    now = Date.now,
  } = options;
  if (token === undefined) {
    return (call) => {
      if (!call.isPublic) onChecked(false, 'server disabled authentication');
      return undefined;
    };
  }
  const check = tokenChecker(token.reveal());
  return (call) => {
    if (call.isPublic) return undefined;
    if (trustsUnixSockets && UNIX_SOCKETS.has(call.peer.transport)) {
      onChecked(false, 'server disabled authentication');
      return undefined;
    }
    const refusal = check(call.headers.get(AUTHORIZATION), now() / 1000);
    if (refusal?.reason !== undefined) onTokenError(refusal.reason);
    onChecked(!transitioning, statusOf(refusal, transitioning));
    if (refusal === undefined || transitioning) return undefined;
    throw new GitalyError(refusal.code, refusal.message);
  };
}

/**
 * Returns a function that reports whether to trust a connection, by its first request: it has a
 * valid token, or came through a Unix socket on which none is needed. Over TCP a server without a
 * token trusts no client.
 */
export function connectionTrust({
  token,
  trustsUnixSockets = false,
  now = Date.now,
}: Pick<AuthenticationOptions, 'token' | 'trustsUnixSockets' | 'now'>) {
  const check = token && tokenChecker(token.reveal());
  const trustsFiles = trustsUnixSockets || check === undefined;
  return ({ transport }: Pick<Peer, 'transport'>, authorization: string | undefined): boolean =>
    transport === 'internal' ||
    (transport === 'unix' && trustsFiles) ||
    (check !== undefined && check(authorization, now() / 1000) === undefined);
}

function statusOf(refusal: TokenRefusal | undefined, transitioning: boolean): AuthenticationStatus {
  if (refusal === undefined) return transitioning ? 'would be ok' : 'ok';
  return refusal.code === 'UNAUTHENTICATED' ? 'unauthenticated' : 'denied';
}
