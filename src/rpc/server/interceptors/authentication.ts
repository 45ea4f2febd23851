import { GitalyError } from '#base/gitaly-error';
import type { Secret } from '#base/secret';
import { AUTHORIZATION } from '#rpc/common/header-names';
import { checkToken, type TokenErrorReason, type TokenRefusal } from '#rpc/common/token-auth';
import type { ServerInterceptor } from '../server-call.ts';

/** Result of one check, as the label `status` of `gitaly_authentications_total`. */
export type AuthenticationStatus = 'ok' | 'would be ok' | 'unauthenticated' | 'denied' | 'server disabled authentication';

export interface AuthenticationOptions {
  /** `undefined`: everybody is let in. */
  readonly token: Secret | undefined;
  /** Check and count, but let everybody in. */
  readonly transitioning: boolean;
  readonly onChecked: (enforced: boolean, status: AuthenticationStatus) => void;
  readonly onTokenError: (reason: TokenErrorReason) => void;
  /** Unix time in milliseconds. */
  readonly now?: () => number;
}

/**
 * Lets calls with a valid token in. Public services (health) are not asked.
 *
 * Runs inside log and status mapping, so that a refusal is logged as such, and outside the limits, so that a token cannot expire while
 * its call waits for its turn.
 */
export function authenticate(options: AuthenticationOptions): ServerInterceptor {
  const { token, transitioning, onChecked, onTokenError, now = Date.now } = options;
  if (token === undefined) {
    return (call, next) => {
      if (!call.isPublic) onChecked(false, 'server disabled authentication');
      return next();
    };
  }
  const secret = token.reveal();
  return (call, next) => {
    if (call.isPublic) return next();
    const refusal = checkToken(secret, call.headers.get(AUTHORIZATION), now() / 1000);
    if (refusal?.reason !== undefined) onTokenError(refusal.reason);
    onChecked(!transitioning, statusOf(refusal, transitioning));
    if (refusal === undefined || transitioning) return next();
    return Promise.reject(new GitalyError(refusal.code, refusal.message));
  };
}

function statusOf(refusal: TokenRefusal | undefined, transitioning: boolean): AuthenticationStatus {
  if (refusal === undefined) return transitioning ? 'would be ok' : 'ok';
  return refusal.code === 'UNAUTHENTICATED' ? 'unauthenticated' : 'denied';
}
