import { createHmac } from 'node:crypto';
import type { ApiCallOptions } from './internal-api.ts';

/** Facts about a client of the internal API that its requests carry. */
export interface ApiIdentity {
  /** Key of the tokens. */
  readonly key: Uint8Array;
  /** Basic auth is sent when both are set. */
  readonly user?: string | undefined;
  readonly password?: string | undefined;
  /** `gitaly/<version>` */
  readonly userAgent: string;
}

// GitLab refuses older tokens.
const TOKEN_LIFE_SECONDS = 60;

/** Makes the headers of requests to the internal API. */
export class ApiRequestHeaders {
  readonly #identity: ApiIdentity;
  /** Requests of one second have the same token. */
  #token: { readonly seconds: number; readonly text: string } | undefined;

  constructor(identity: ApiIdentity) {
    this.#identity = identity;
  }

  /** Returns the headers of one request, with a fresh token. */
  of({ correlationId, remoteIp }: Omit<ApiCallOptions, 'signal'>): Record<string, string> {
    const { user, password, userAgent } = this.#identity;
    return {
      'Gitlab-Shell-Api-Request': this.#freshToken(),
      'Content-Type': 'application/json',
      'User-Agent': userAgent,
      'X-Request-ID': correlationId,
      ...(remoteIp && { 'X-Forwarded-For': remoteIp }),
      ...(user &&
        password && { Authorization: `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}` }),
    };
  }

  #freshToken(): string {
    const seconds = Math.floor(Date.now() / 1000);
    if (this.#token?.seconds !== seconds) {
      const claims = { iss: 'gitlab-shell', iat: seconds, exp: seconds + TOKEN_LIFE_SECONDS };
      this.#token = { seconds, text: signWebToken(claims, this.#identity.key) };
    }
    return this.#token.text;
  }
}

interface TokenClaims {
  readonly iss: string;
  /** Seconds since 1970. */
  readonly iat: number;
  readonly exp: number;
}

/** Signs a JSON web token with HMAC-SHA256 (RFC 7515 and 7519, `alg` HS256). */
export function signWebToken(claims: TokenClaims, key: Uint8Array): string {
  const signed = `${encode({ alg: 'HS256', typ: 'JWT' })}.${encode(claims)}`;
  return `${signed}.${createHmac('sha256', key).update(signed).digest('base64url')}`;
}

function encode(part: object): string {
  return Buffer.from(JSON.stringify(part)).toString('base64url');
}
