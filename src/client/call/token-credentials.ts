import { AUTHORIZATION } from '#rpc/common/header-names';
import { signToken } from '#rpc/common/token-auth';
import type { CallCredentials } from './call-types.ts';

/** Proves knowledge of the server's token with a signature that is made anew for each call and valid for 30 s. */
export function tokenCredentials(secret: string): CallCredentials {
  return { metadata: () => ({ [AUTHORIZATION]: signToken(secret, Math.floor(Date.now() / 1000)) }) };
}
