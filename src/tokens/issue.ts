import { formatScope, parseScope, type TokenScope } from './scope.ts';
import type { TokenStore } from './token-store.ts';

/** `iss` of our own tokens, and `aud` of all. */
export const OWN_ISSUER = 'gitaly-ts';
export const AUDIENCE = 'gitaly-ts';
/** Claim with the scope. */
export const SCOPE_CLAIM = 'gitaly_ts';

/** A decade: a longer time is a mistake. */
const MAX_SECONDS = 10 * 366 * 24 * 60 * 60;
/** The end of year 9999, of tokens that do not expire: each token has an end. */
export const NEVER_EXPIRES_AT = 253_402_300_799;
const SUBJECT = /^[\w.@+-]{1,128}$/;

export interface TokenRequest {
  /** Name of the person or program, shown in hooks and logs. */
  readonly subject: string;
  readonly scope: TokenScope;
  /** `Infinity` for a token that does not expire. */
  readonly lifetimeSeconds: number;
}

/**
 * Issues a token, signed with the newest key of the store.
 *
 * @returns the token, which is kept nowhere, and its id.
 * @throws {RangeError} for a name or time that is not allowed; {RuleError} for such a scope.
 */
export async function issueToken(
  store: TokenStore,
  { lifetimeSeconds, scope, subject }: TokenRequest,
): Promise<{ readonly id: string; readonly token: string; readonly expiresAt: number }> {
  if (!SUBJECT.test(subject))
    throw new RangeError('a name has 1 to 128 letters, digits and the characters . _ @ + -');
  const isEndless = lifetimeSeconds === Number.POSITIVE_INFINITY;
  if (
    !isEndless &&
    (!Number.isInteger(lifetimeSeconds) || lifetimeSeconds < 1 || lifetimeSeconds > MAX_SECONDS)
  )
    throw new RangeError('a token is valid for one second to ten years, or does not expire');
  const { SignJWT } = await import('jose');
  await store.prepare();
  const key = await store.signingKey();
  const issuedAt = Math.floor(Date.now() / 1000);
  const expiresAt = isEndless ? NEVER_EXPIRES_AT : issuedAt + lifetimeSeconds;
  const claim = formatScope(scope);
  const id = await store.note({ subject, scope: parseScope(claim), issuedAt, expiresAt });
  const token = await new SignJWT({ [SCOPE_CLAIM]: claim })
    .setProtectedHeader({ alg: 'EdDSA', kid: key.id, typ: 'JWT' })
    .setIssuer(OWN_ISSUER)
    .setAudience(AUDIENCE)
    .setSubject(subject)
    .setJti(id)
    .setIssuedAt(issuedAt)
    .setExpirationTime(expiresAt)
    .sign(key.key);
  return { id, token, expiresAt };
}
