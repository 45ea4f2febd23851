import { createHmac, timingSafeEqual } from 'node:crypto';
import { parseIntProblem } from '#base/go/strconv';

/**
 * Maximum difference between a token's time and ours, in both directions. @see Gitaly: auth, token
 * validity.
 */
const VALIDITY_SECONDS = 30;

/** Limit of the valid tokens that are remembered. */
const MAX_REMEMBERED_TOKENS = 256;

const VERSION = 'v2';

/** The reason of a refusal, as the label of the metric that counts it. */
export type TokenErrorReason =
  | 'wrong hmac signature'
  | 'cannot parse timestamp'
  | 'token has expired'
  | "token's validity window is in future";

/** The reason why a token is refused. */
export interface TokenRefusal {
  readonly code: 'UNAUTHENTICATED' | 'PERMISSION_DENIED';
  /** Text for the client. */
  readonly message: string;
  /**
   * Set if there was a v2 token with wrong content:
   * `gitaly_authentication_errors_total{version="v2", error=reason}`.
   */
  readonly reason: TokenErrorReason | undefined;
}

const UNAUTHENTICATED: TokenRefusal = {
  code: 'UNAUTHENTICATED',
  message: 'authentication required',
  reason: undefined,
};

/**
 * Returns the value of the `authorization` header: `Bearer v2.<hex HMAC-SHA256 of the time>.<time
 * in Unix seconds>`.
 */
export function signToken(secret: string, nowSeconds: number): string {
  const message = Math.floor(nowSeconds).toString();
  return `Bearer ${VERSION}.${hmac(secret, message).toString('hex')}.${message}`;
}

/**
 * Checks the first `authorization` value of a call. The caller decides how to handle a refusal
 * (`transitioning`), and calls this only if a secret is configured.
 *
 * @param nowSeconds our Unix time, including fractions; a token exactly 30 s off is accepted
 * @returns `undefined` for a valid token. The order of the checks and the texts are Gitaly's.
 */
export function checkToken(
  secret: string,
  authorization: string | undefined,
  nowSeconds: number,
): TokenRefusal | undefined {
  const [, token] = /^bearer (.*)$/is.exec(authorization ?? '') ?? [];
  const [, version, signature, message] = /^([^.]*)\.([^.]*)\.(.*)$/s.exec(token ?? '') ?? [];
  if (signature === undefined || message === undefined || !/^([0-9a-f]{2})*$/i.test(signature))
    return UNAUTHENTICATED;
  if (version !== VERSION) return denied('invalid token version');

  const expected = hmac(secret, message);
  const given = Buffer.from(signature, 'hex');
  if (given.length !== expected.length || !timingSafeEqual(given, expected))
    return deniedBecause('wrong hmac signature');
  if (!/^[+-]?[0-9]+$/.test(message))
    return deniedBecause('cannot parse timestamp', `: ${parseIntProblem(message, 'invalid syntax')}`);
  const issuedAt = BigInt(message.replace(/^\+/, ''));
  if (BigInt.asIntN(64, issuedAt) !== issuedAt) {
    return deniedBecause('cannot parse timestamp', `: ${parseIntProblem(message, 'value out of range')}`);
  }
  if (Number(issuedAt) < nowSeconds - VALIDITY_SECONDS) return deniedBecause('token has expired');
  if (Number(issuedAt) > nowSeconds + VALIDITY_SECONDS)
    return deniedBecause("token's validity window is in future");
  return undefined;
}

/**
 * Returns a function that checks tokens like {@link checkToken} and remembers the last valid ones:
 * a client signs with the time in seconds, so its calls of one second have the same token.
 *
 * The lookup is by a hash of the whole header with a seed of the process, so its time does not
 * depend on how much of a wrong token is right.
 */
export function tokenChecker(
  secret: string,
): (authorization: string | undefined, nowSeconds: number) => TokenRefusal | undefined {
  /** Times of the tokens by header, the one remembered first at the head. */
  const valid = new Map<string, number>();
  return (authorization, nowSeconds) => {
    const issuedAt = authorization === undefined ? undefined : valid.get(authorization);
    if (issuedAt !== undefined && Math.abs(nowSeconds - issuedAt) <= VALIDITY_SECONDS) return undefined;
    const refusal = checkToken(secret, authorization, nowSeconds);
    if (refusal !== undefined || authorization === undefined) return refusal;
    const [oldest] = valid.keys();
    if (valid.size >= MAX_REMEMBERED_TOKENS && oldest !== undefined) valid.delete(oldest);
    valid.set(authorization, Number(authorization.slice(authorization.lastIndexOf('.') + 1)));
    return undefined;
  };
}

function hmac(secret: string, message: string): Buffer {
  return createHmac('sha256', secret).update(message).digest();
}

function denied(text: string, reason?: TokenErrorReason): TokenRefusal {
  return { code: 'PERMISSION_DENIED', message: `permission denied: ${text}`, reason };
}

function deniedBecause(reason: TokenErrorReason, addition = ''): TokenRefusal {
  return denied(reason + addition, reason);
}
