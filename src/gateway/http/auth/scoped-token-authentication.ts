import type { Identity } from '#gateway/identity';
import { identityOfToken } from '#gateway/token-login';
import { NEVER_EXPIRES_AT } from '#tokens/issue';
import { accessTo, describeScope, hasAllRights, mayAdminister } from '#tokens/scope';
import type { TokenVerifier } from '#tokens/token-verifier';
import type { AccessRequest, Admission, Authenticator, RefusedRequest } from '../authentication.ts';
import { NOT_FOUND } from '../failure.ts';
import type { AccountFacts, AccountToken } from '../pages/page-source.ts';
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
    ...(otherwise?.checkSignature && { checkSignature: otherwise.checkSignature.bind(otherwise) }),
    readsWithoutCredentials: async () =>
      otherwise === undefined ? false : await otherwise.readsWithoutCredentials?.(),
    isAdministrator: async (client, path) => {
      const identity = await identityIn(parseCredentials(client.headers.authorization));
      if (identity === undefined) return (await otherwise?.isAdministrator?.(client, path)) ?? false;
      if (typeof identity === 'string' || identity.scope === undefined) return false;
      return path === undefined ? hasAllRights(identity.scope) : mayAdminister(identity.scope, path);
    },
    account: async (client) => {
      const identity = await identityIn(parseCredentials(client.headers.authorization));
      if (typeof identity === 'string') return undefined;
      if (identity !== undefined) return await factsOfToken(verifier, identity);
      const account = await otherwise?.account?.(client);
      return (
        account && { ...account, tokens: [...account.tokens, ...(await tokensOf(verifier, account.name))] }
      );
    },
    removeOwn: async (client, secret) => {
      const identity = await identityIn(parseCredentials(client.headers.authorization));
      if (typeof identity === 'string') return false;
      const isOther = identity !== undefined && identity.credential?.name !== secret.name;
      if (isOther) return false; // a token may revoke itself only
      const name = identity?.username ?? (await otherwise?.account?.(client))?.name;
      if (name === undefined) return false;
      const { kind, name: id } = secret;
      if (kind === 'token' && (await verifier.revokeIssued(name, id))) return true;
      return identity === undefined && ((await otherwise?.removeOwn?.(client, secret)) ?? false);
    },
  };
}

/** A token shows nothing of the others of its name, which may have more rights. */
async function factsOfToken(
  verifier: TokenVerifier,
  { credential, scope, username: name }: Identity,
): Promise<AccountFacts | undefined> {
  if (credential === undefined || scope === undefined) return undefined;
  const tokens = await tokensOf(verifier, name);
  const own = tokens.filter((token) => token.name === credential.name);
  return { name, credential, rights: [describeScope(scope)], keys: [], tokens: own };
}

async function tokensOf(verifier: TokenVerifier, name: string): Promise<AccountToken[]> {
  return (await verifier.issuedTo(name)).map(({ expiresAt, id, scope }) => ({
    name: id,
    scope: scope === undefined ? 'unreadable for this version' : describeScope(scope),
    expiresAt: expiresAt === 0 || expiresAt === NEVER_EXPIRES_AT ? undefined : expiresAt,
    isRemovable: true,
  }));
}

function decide(identity: Admission, { operation, path }: AccessRequest): Admission | RefusedRequest {
  const access = identity.scope && accessTo(identity.scope, path);
  if (access === undefined) return { answer: NOT_FOUND, identity };
  if (operation === 'write' && access === 'read') return { answer: READ_ONLY, identity };
  return identity;
}
