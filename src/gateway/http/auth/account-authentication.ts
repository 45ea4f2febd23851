import { createHash } from 'node:crypto';
import type { Credential } from '#gateway/identity';
import type { OwnSecret } from '#gateway/people/own-secrets';
import { ANONYMOUS, describeGrant, rightAt } from '#gateway/rights';
import type { Slots } from '#gateway/slots';
import type {
  AccessClient,
  AccessRequest,
  Admission,
  Authenticator,
  RefusedRequest,
} from '../authentication.ts';
import { NOT_FOUND } from '../failure.ts';
import type { AccountFacts, AccountKey, SignatureCheck, SignedText } from '../pages/page-source.ts';
import type { Account, Accounts } from './auth-file.ts';
import { READ_ONLY, SIGN_IN, WRONG_CREDENTIALS } from './challenge.ts';
import { type Credentials, parseCredentials } from './credentials.ts';
import { DUMMY_HASH } from './password-hash.ts';
import { SecretChecker } from './secret-checker.ts';

/** Keys and tokens that users may remove themselves. */
export interface AccountSecrets {
  /** Returns the SSH keys of a user. */
  keysOf(name: string): Promise<Omit<AccountKey, 'isRemovable'>[]>;
  /** Reports whether they can be removed here. */
  isWritable(): Promise<boolean>;
  /** Finds the user whose key has signed a text. */
  checkSignature(signed: SignedText): Promise<SignatureCheck>;
  /** Removes one. @returns false if there is none. @throws as {@link Authenticator.removeOwn}. */
  remove(name: string, secret: OwnSecret): Promise<boolean>;
}

export interface AccountAuthenticationOptions {
  /** Slots of waiting logins of all processes of a server; default: only this one's. */
  readonly logins?: Slots | undefined;
  /** Default: there are no keys, and no token can be removed. */
  readonly secrets?: AccountSecrets;
}

/**
 * Returns an authenticator for accounts. A repository that a user may not read is reported as
 * missing; `gl_id` is `username-<name>`.
 *
 * @param current returns the accounts of now.
 */
export function accountAuthentication(
  current: () => Promise<Accounts>,
  { logins, secrets }: AccountAuthenticationOptions = {},
): Authenticator {
  const checker = new SecretChecker(logins);
  const holderOf = async (accounts: Accounts, { headers, remoteAddress: client }: AccessClient) =>
    accountOf(accounts, parseCredentials(headers.authorization), { checker, client });
  return {
    authenticate: async (request) => {
      const accounts = await current();
      const credentials = parseCredentials(request.headers.authorization);
      if (credentials.kind === 'none') return decide(accounts, undefined, request);
      const account = await accountOf(accounts, credentials, { checker, client: request.remoteAddress });
      return account === undefined ? { answer: WRONG_CREDENTIALS } : decide(accounts, account, request);
    },
    readsWithoutCredentials: async () => (await current()).anonymous.length > 0,
    isAdministrator: async (client) => {
      const account = await holderOf(await current(), client);
      return account?.grants.some(({ right }) => right === 'admin') ?? false;
    },
    account: async (client) => {
      const accounts = await current();
      const account = await holderOf(accounts, client);
      if (account === undefined) return undefined;
      const isRemovable = (await secrets?.isWritable()) ?? false;
      const keys = (await secrets?.keysOf(account.name)) ?? [];
      return factsOf(accounts, account, { isRemovable, keys });
    },
    removeOwn: async (client, secret) => {
      const account = await holderOf(await current(), client);
      if (account === undefined || !(await secrets?.isWritable())) return false;
      return (await secrets?.remove(account.name, secret)) ?? false;
    },
    ...(secrets && { checkSignature: (signed: SignedText) => secrets.checkSignature(signed) }),
  };
}

function decide(
  { anonymous }: Accounts,
  account: Account | undefined,
  request: AccessRequest,
): Admission | RefusedRequest {
  const right = rightAt([...anonymous, ...(account?.grants ?? [])], request.path);
  const username = account?.name ?? ANONYMOUS;
  const identity = {
    glId: `username-${username}`,
    username,
    ...(account && { credential: credentialOf(account) }),
  };
  if (right !== undefined && (request.operation === 'read' || right !== 'read')) return identity;
  if (account === undefined) return { answer: SIGN_IN };
  return { answer: right === 'read' ? READ_ONLY : NOT_FOUND, identity };
}

interface KnownSecrets {
  readonly keys: readonly Omit<AccountKey, 'isRemovable'>[];
  readonly isRemovable: boolean;
}

function factsOf(accounts: Accounts, account: Account, { isRemovable, keys }: KnownSecrets): AccountFacts {
  const { grants, name } = account;
  const tokens = [...accounts.tokens.values()].filter((token) => token.name === name);
  return {
    name,
    credential: credentialOf(account),
    rights: [...accounts.anonymous, ...grants].map(describeGrant),
    keys: keys.map((key) => ({ ...key, isRemovable })),
    tokens: tokens.map((token) => ({
      name: credentialOf(token).name,
      scope: token.grants.map(describeGrant).join('; '),
      expiresAt: undefined,
      isRemovable,
    })),
  };
}

/** A token of the file has no id: the first digits of its digest name it. */
function credentialOf({ hash, tokenName }: Account): Credential {
  if (hash.kind === 'scrypt') return { kind: 'password', name: '' };
  return { kind: 'token', name: tokenName ?? `sha256:${hash.digest.toString('hex').slice(0, 8)}` };
}

async function accountOf(
  accounts: Accounts,
  credentials: Credentials,
  { checker, client }: { checker: SecretChecker; client: string | undefined },
): Promise<Account | undefined> {
  if (credentials.kind === 'bearer') return accountOfToken(accounts, credentials.token.reveal());
  if (credentials.kind !== 'basic') return undefined;
  const password = credentials.password.reveal();
  const byToken = accountOfToken(accounts, password);
  if (byToken !== undefined) return byToken.name === credentials.username ? byToken : undefined;

  const account = accounts.passwords.get(credentials.username);
  const isRight = await checker.check(account?.hash ?? DUMMY_HASH, account?.hashText ?? '', password, client);
  return isRight ? account : undefined;
}

/**
 * Finds a token's account by its digest. The lookup time reveals nothing about tokens, because a
 * client cannot choose a digest.
 */
function accountOfToken({ tokens }: Accounts, token: string): Account | undefined {
  return tokens.get(createHash('sha256').update(token).digest('hex'));
}
