import { AUTHORIZATION } from '#rpc/common/header-names';
import { signToken } from '#rpc/common/token-auth';
import type { CallCredentials } from './call-types.ts';

/**
 * Returns credentials that prove knowledge of the server's token with a signature of the current
 * second, valid for 30 s.
 */
export function tokenCredentials(secret: string): CallCredentials {
  let signedAt = -1;
  let metadata: Readonly<Record<string, string>> = {};
  return {
    metadata() {
      const second = Math.floor(Date.now() / 1000);
      if (second !== signedAt) metadata = { [AUTHORIZATION]: signToken(secret, second) };
      signedAt = second;
      return metadata;
    },
  };
}
