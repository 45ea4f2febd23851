import { AuthFileError, createToken, formatAuthLine, hashPassword } from '#gateway/index';
import { NoPasswordError, readPassword } from './read-password.ts';

export interface HashPasswordOptions {
  readonly name: string;
  readonly write: boolean;
  readonly admin: boolean;
  readonly token: boolean;
  readonly paths: readonly string[];
}

/**
 * Runs `gitaly-ts hash-password NAME`: prints a line for the file of `--auth-file`. The password is
 * the first line of standard input; a new token is printed once on standard error.
 *
 * @returns the exit code: 0, or 2 if there is no password or the name is invalid.
 */
export async function runHashPassword({
  admin,
  name,
  paths,
  token,
  write,
}: HashPasswordOptions): Promise<number> {
  const right = admin ? 'admin' : write ? 'write' : 'read';
  const line = (hash: string): string => formatAuthLine(name, right, hash, paths);
  try {
    const made = createToken();
    // reports an invalid name before a password is typed
    const withToken = line(made.hash);
    const text = token ? withToken : line(await hashPassword(await readPassword()));
    if (token) process.stderr.write(`The token (it is shown only once): ${made.token}\n`);
    process.stdout.write(`${text}\n`);
    return 0;
  } catch (error) {
    if (!(error instanceof AuthFileError || error instanceof NoPasswordError)) throw error;
    process.stderr.write(`gitaly-ts hash-password: ${error.message}\n`);
    return 2;
  }
}
