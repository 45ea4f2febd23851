import { AUTHORIZATION } from '#rpc/common/header-names';
import { signToken } from '#rpc/common/token-auth';
import type { CallCredentials } from './call-types.ts';

/**
 * Returns credentials that prove knowledge of the server's token with a signature for each call,
 * valid for 30 s.
 */
export function tokenCredentials(secret: string): CallCredentials {
  return { metadata: () => ({ [AUTHORIZATION]: signToken(secret, Math.floor(Date.now() / 1000)) }) };
}
