import { createHmac, timingSafeEqual } from 'node:crypto';
import { quote } from '#base/quote';

/** How far a token's time may be from ours, in both directions. @see Gitaly: auth, token validity. */
const VALIDITY_SECONDS = 30;

const VERSION = 'v2';

/** Why a signature was refused, as the label of the metric that counts it. */
export type TokenErrorReason =
  | 'wrong hmac signature'
  | 'cannot parse timestamp'
  | 'token has expired'
  | "token's validity window is in future";

/** A token that does not let its bearer in. */
export interface TokenRefusal {
  readonly code: 'UNAUTHENTICATED' | 'PERMISSION_DENIED';
  /** What the client is told. */
  readonly message: string;
  /** Set when a v2 token was there and its content was wrong: `gitaly_authentication_errors_total{version="v2", error=reason}`. */
  readonly reason: TokenErrorReason | undefined;
}

const UNAUTHENTICATED: TokenRefusal = { code: 'UNAUTHENTICATED', message: 'authentication required', reason: undefined };

/** Value of the `authorization` header: `Bearer v2.<hex HMAC-SHA256 of the time>.<time in Unix seconds>`. */
export function signToken(secret: string, nowSeconds: number): string {
  const message = Math.floor(nowSeconds).toString();
  return `Bearer ${VERSION}.${hmac(secret, message).toString('hex')}.${message}`;
}

/**
 * Checks the first `authorization` value of a call. The caller decides what a refusal means (`transitioning`), and does not ask
 * when no secret is configured.
 *
 * @param nowSeconds our Unix time, fractions included; a token exactly 30 s off is accepted
 * @returns `undefined` for a good token. The order of the checks and the texts are Gitaly's.
 */
export function checkToken(secret: string, authorization: string | undefined, nowSeconds: number): TokenRefusal | undefined {
  const [, token] = /^bearer (.*)$/is.exec(authorization ?? '') ?? [];
  const [, version, signature, message] = /^([^.]*)\.([^.]*)\.(.*)$/s.exec(token ?? '') ?? [];
  if (signature === undefined || message === undefined || !/^([0-9a-f]{2})*$/i.test(signature)) return UNAUTHENTICATED;
  if (version !== VERSION) return denied('invalid token version');

  const expected = hmac(secret, message);
  const given = Buffer.from(signature, 'hex');
  if (given.length !== expected.length || !timingSafeEqual(given, expected)) return deniedBecause('wrong hmac signature');
  if (!/^[+-]?[0-9]+$/.test(message)) return deniedBecause('cannot parse timestamp', parseFailure(message, 'invalid syntax'));
  const issuedAt = BigInt(message.replace(/^\+/, ''));
  if (BigInt.asIntN(64, issuedAt) !== issuedAt) {
    return deniedBecause('cannot parse timestamp', parseFailure(message, 'value out of range'));
  }
  if (Number(issuedAt) < nowSeconds - VALIDITY_SECONDS) return deniedBecause('token has expired');
  if (Number(issuedAt) > nowSeconds + VALIDITY_SECONDS) return deniedBecause("token's validity window is in future");
  return undefined;
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

/** The words of Go's `strconv`, which Gitaly passes on. */
function parseFailure(message: string, why: string): string {
  return `: strconv.ParseInt: parsing ${quote(message)}: ${why}`;
}
