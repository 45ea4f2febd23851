import { identityOfToken } from '#gateway/token-login';
import { isUnrestricted } from '#tokens/push-rules';
import { accessTo, hasAllRights } from '#tokens/scope';
import type { TokenVerifier } from '#tokens/token-verifier';
import type { AccessRequest, Admission, Authenticator, RefusedRequest } from '../authentication.ts';
import { NOT_FOUND } from '../failure.ts';
import { EXPIRED_TOKEN, READ_ONLY, SIGN_IN, WRONG_CREDENTIALS } from './challenge.ts';
import { type Credentials, parseCredentials, secretIn } from './credentials.ts';

export interface ScopedTokenOptions {
  readonly verifier: TokenVerifier;
  /** Accepts requests without such a token. Default: they are refused. */
  readonly otherwise?: Authenticator | undefined;
}

/**
 * Returns an authenticator for the tokens of `gitaly-ts token`, as bearer tokens or as the password
 * of any name. A repository outside a token's scope is reported as missing. A token that was valid
 * is reported as expired; all others that are not valid get one response, whatever the reason.
 */
export function scopedTokenAuthentication({ otherwise, verifier }: ScopedTokenOptions): Authenticator {
  const identityIn = (credentials: Credentials): ReturnType<typeof identityOfToken> =>
    identityOfToken(verifier, secretIn(credentials)?.reveal() ?? '');
  return {
    authenticate: async (request) => {
      const credentials = parseCredentials(request.headers.authorization);
      const identity = await identityIn(credentials);
      if (identity === 'refused') return { answer: WRONG_CREDENTIALS };
      if (identity === 'expired') return { answer: EXPIRED_TOKEN };
      if (identity !== undefined) return decide(identity, request);
      if (otherwise !== undefined) return await otherwise.authenticate(request);
      return { answer: credentials.kind === 'none' ? SIGN_IN : WRONG_CREDENTIALS };
    },
    reload: async () => await otherwise?.reload?.(),
    readsWithoutCredentials: async () =>
      otherwise === undefined ? false : await otherwise.readsWithoutCredentials?.(),
    isAdministrator: async (client) => {
      const identity = await identityIn(parseCredentials(client.headers.authorization));
      if (identity === undefined) return (await otherwise?.isAdministrator?.(client)) ?? false;
      return typeof identity !== 'string' && identity.scope !== undefined && hasAllRights(identity.scope);
    },
  };
}

function decide(identity: Admission, { operation, path }: AccessRequest): Admission | RefusedRequest {
  const access = identity.scope && accessTo(identity.scope, path);
  if (access === undefined) return { answer: NOT_FOUND, identity };
  if (operation === 'write' && access === 'read') return { answer: READ_ONLY, identity };
  return access === 'admin' && isUnrestricted(identity.scope)
    ? { ...identity, isAdministrator: true }
    : identity;
}
