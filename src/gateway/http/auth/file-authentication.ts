import { createHash } from 'node:crypto';
import { checkNames } from '#base/check-names';
import type { Credential } from '#gateway/identity';
import type { Slots } from '#gateway/slots';
import { ReloadedFiles } from '#platform/files/reloaded-files';
import type { AccessRequest, Admission, Authenticator, RefusedRequest } from '../authentication.ts';
import { NOT_FOUND } from '../failure.ts';
import { type Account, type AuthFile, parseAuthFile, rightAt } from './auth-file.ts';
import { READ_ONLY, SIGN_IN, WRONG_CREDENTIALS } from './challenge.ts';
import { type Credentials, parseCredentials } from './credentials.ts';
import { DUMMY_HASH, isSecretOf } from './password-hash.ts';
import { SecretChecker } from './secret-checker.ts';

export interface FileAuthenticationOptions {
  /** A file with one line per user and token; see docs/http-gateway.md for the format. */
  readonly path: string;
  /** Called when a changed file is invalid; the previous contents stay in use. */
  readonly onProblem?: (error: unknown) => void;
}

/**
 * Returns an authenticator for users and tokens in a file. A change of the file takes effect within
 * a second. A repository that a user may not read is reported as missing; `gl_id` is
 * `username-<name>`.
 *
 * @param logins slots of waiting logins of all processes of a server; default: only this one's.
 * @throws {AuthFileError} and the system's errors when the file is unusable at the start.
 */
export async function fileAuthentication(
  options: FileAuthenticationOptions,
  logins?: Slots,
): Promise<Authenticator> {
  checkNames('fileAuthentication', options, { path: true, onProblem: true });
  const { onProblem, path } = options;
  const file = await ReloadedFiles.open({
    paths: [path],
    parse: ([contents]) => parseAuthFile(contents?.toString() ?? ''),
    onProblem: onProblem ?? (() => {}),
  });
  const checker = new SecretChecker(logins);
  return {
    authenticate: async (request) => {
      const accounts = await file.current();
      const credentials = parseCredentials(request.headers.authorization);
      if (credentials.kind === 'none') return decide(accounts, undefined, request);
      const account = await accountOf(accounts, credentials, { checker, client: request.remoteAddress });
      return account === undefined ? { answer: WRONG_CREDENTIALS } : decide(accounts, account, request);
    },
    reload: async () => void (await file.refreshed()),
    readsWithoutCredentials: async () => (await file.current()).anonymous.length > 0,
    isAdministrator: async ({ headers, remoteAddress: client }) => {
      const credentials = parseCredentials(headers.authorization);
      const account = await accountOf(await file.current(), credentials, { checker, client });
      return account?.grants.some(({ right }) => right === 'admin') ?? false;
    },
  };
}

function decide(
  { anonymous }: AuthFile,
  account: Account | undefined,
  request: AccessRequest,
): Admission | RefusedRequest {
  const right = rightAt([...anonymous, ...(account?.grants ?? [])], request.path);
  const username = account?.name ?? 'anonymous';
  const identity = {
    glId: `username-${username}`,
    username,
    ...(account && { credential: credentialOf(account) }),
  };
  if (right !== undefined && (request.operation === 'read' || right !== 'read')) return identity;
  if (account === undefined) return { answer: SIGN_IN };
  return { answer: right === 'read' ? READ_ONLY : NOT_FOUND, identity };
}

/** A token of the file has no id: the first digits of its digest name it. */
function credentialOf({ hash }: Account): Credential {
  if (hash.kind === 'scrypt') return { kind: 'password', name: '' };
  return { kind: 'token', name: `sha256:${hash.digest.toString('hex').slice(0, 8)}` };
}

async function accountOf(
  file: AuthFile,
  credentials: Credentials,
  { checker, client }: { checker: SecretChecker; client: string | undefined },
): Promise<Account | undefined> {
  if (credentials.kind === 'bearer') return accountOfToken(file, credentials.token.reveal());
  if (credentials.kind !== 'basic') return undefined;
  const password = credentials.password.reveal();
  const byToken = await accountOfToken(file, password);
  if (byToken !== undefined) return byToken.name === credentials.username ? byToken : undefined;

  const account = file.passwords.get(credentials.username);
  const isRight = await checker.check(account?.hash ?? DUMMY_HASH, account?.hashText ?? '', password, client);
  return isRight ? account : undefined;
}

/**
 * Finds a token's account by its digest. The lookup time reveals nothing about tokens, because a
 * client cannot choose a digest.
 */
async function accountOfToken({ tokens }: AuthFile, token: string): Promise<Account | undefined> {
  const account = tokens.get(createHash('sha256').update(token).digest('hex'));
  return account !== undefined && (await isSecretOf(account.hash, token)) ? account : undefined;
}
