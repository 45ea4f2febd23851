import { createHmac } from 'node:crypto';

/** The claims of a token of the internal API. */
export interface TokenClaims {
  readonly iss: string;
  /** Seconds since 1970. */
  readonly iat: number;
  readonly exp: number;
}

/** Signs a JSON web token with HMAC-SHA256 (RFC 7515 and 7519, `alg` HS256). */
export function signToken(claims: TokenClaims, key: Uint8Array): string {
  const signed = `${encode({ alg: 'HS256', typ: 'JWT' })}.${encode(claims)}`;
  return `${signed}.${createHmac('sha256', key).update(signed).digest('base64url')}`;
}

function encode(part: object): string {
  return Buffer.from(JSON.stringify(part)).toString('base64url');
}
