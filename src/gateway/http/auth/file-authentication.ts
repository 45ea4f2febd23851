import { createHash } from 'node:crypto';
import type { Answer } from '../answer.ts';
import type { AccessRequest, Admission, Authenticator } from '../authentication.ts';
import { NOT_FOUND } from '../failure.ts';
import { ReloadedFiles } from '../reloaded-files.ts';
import { type Account, type AuthFile, parseAuthFile, rightAt } from './auth-file.ts';
import { READ_ONLY, SIGN_IN, WRONG_CREDENTIALS } from './challenge.ts';
import { type Credentials, parseCredentials } from './credentials.ts';
import { isSecretOf, NOBODYS_HASH } from './password-hash.ts';
import { SecretChecker } from './secret-checker.ts';

export interface FileAuthenticationOptions {
  /** One line for each user and token; docs/http-door.md has the format. */
  readonly path: string;
  /** Told when a changed file cannot be used; the one before stays in force. */
  readonly onProblem?: (error: unknown) => void;
}

/**
 * Users and tokens in a file. A change of the file counts within a second. A repository that somebody may not read does not exist
 * for them; `gl_id` is `username-<name>`.
 *
 * @throws {AuthFileError} and the system's errors when the file cannot be used at the start.
 */
export async function fileAuthentication({ onProblem, path }: FileAuthenticationOptions): Promise<Authenticator> {
  const file = await ReloadedFiles.open({
    paths: [path],
    parse: ([contents]) => parseAuthFile(contents?.toString() ?? ''),
    onProblem: onProblem ?? (() => {}),
  });
  const checker = new SecretChecker();
  return {
    authenticate: async (request) => {
      const accounts = await file.current();
      const credentials = parseCredentials(request.headers.authorization);
      if (credentials.kind === 'none') return decide(accounts, undefined, request);
      const account = await accountOf(accounts, credentials, { checker, client: request.remoteAddress });
      return account === undefined ? { answer: WRONG_CREDENTIALS } : decide(accounts, account, request);
    },
  };
}

function decide({ anonymous }: AuthFile, account: Account | undefined, request: AccessRequest): Admission | { answer: Answer } {
  const right = rightAt([...anonymous, ...(account?.grants ?? [])], request.path);
  if (right === 'write' || right === request.operation) {
    const username = account?.name ?? 'anonymous';
    return { glId: `username-${username}`, username };
  }
  if (account === undefined) return { answer: SIGN_IN };
  return { answer: right === 'read' ? READ_ONLY : NOT_FOUND };
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
  const isRight = await checker.check(account?.hash ?? NOBODYS_HASH, account?.hashText ?? '', password, client);
  return isRight ? account : undefined;
}

/** The look-up is by the digest, whose time says nothing about tokens, since nobody chooses a digest. */
async function accountOfToken({ tokens }: AuthFile, token: string): Promise<Account | undefined> {
  const account = tokens.get(createHash('sha256').update(token).digest('hex'));
  return account !== undefined && (await isSecretOf(account.hash, token)) ? account : undefined;
}
