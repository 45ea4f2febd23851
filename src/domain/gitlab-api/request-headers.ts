import type { ApiCallOptions } from './internal-api.ts';
import { signToken } from './sign-token.ts';

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

// A fresh token for every request; GitLab refuses those older than this.
const TOKEN_LIFE_SECONDS = 60;

/** Returns the headers of one request to the internal API, with a fresh token. */
export function requestHeaders(
  { key, user, password, userAgent }: ApiIdentity,
  { correlationId, remoteIp }: Omit<ApiCallOptions, 'signal'>,
): Record<string, string> {
  const nowSeconds = Math.floor(Date.now() / 1000);
  const claims = { iss: 'gitlab-shell', iat: nowSeconds, exp: nowSeconds + TOKEN_LIFE_SECONDS };
  return {
    'Gitlab-Shell-Api-Request': signToken(claims, key),
    'Content-Type': 'application/json',
    'User-Agent': userAgent,
    'X-Request-ID': correlationId,
    Connection: 'close',
    ...(remoteIp && { 'X-Forwarded-For': remoteIp }),
    ...(user &&
      password && { Authorization: `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}` }),
  };
}
