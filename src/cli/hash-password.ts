import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { Writable } from 'node:stream';
import { AuthFileError, createToken, formatAuthLine, hashPassword } from '#gateway/index';

export interface HashPasswordOptions {
  readonly name: string;
  readonly write: boolean;
  readonly token: boolean;
  readonly paths: readonly string[];
}

/**
 * `gitaly-ts hash-password NAME`: prints a line for the file of `--auth-file`. The password is the first line of standard input; a
 * new token is shown once on standard error.
 *
 * @returns the exit code: 0, or 2 when there is no password or the name cannot be used.
 */
export async function runHashPassword({ name, paths, token, write }: HashPasswordOptions): Promise<number> {
  const line = (hash: string): string => formatAuthLine(name, write ? 'write' : 'read', hash, paths);
  try {
    const made = createToken();
    const withToken = line(made.hash); // says what is wrong with the name before somebody types a password
    const text = token ? withToken : line(await hashPassword(await readPassword()));
    if (token) process.stderr.write(`The token, which is shown only now: ${made.token}\n`);
    process.stdout.write(`${text}\n`);
    return 0;
  } catch (error) {
    if (!(error instanceof AuthFileError || error instanceof NoPasswordError)) throw error;
    process.stderr.write(`gitaly-ts hash-password: ${error.message}\n`);
    return 2;
  }
}

class NoPasswordError extends Error {
  override readonly message = 'no password came on standard input. Type one, or make a token with --token.';
}

/** One line. What is typed at a terminal is not shown. @throws {NoPasswordError} */
async function readPassword(): Promise<string> {
  const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() });
  const terminal = process.stdin.isTTY === true;
  if (terminal) process.stderr.write('Password: ');
  const lines = createInterface({ input: process.stdin, output: nowhere, terminal });
  let password = '';
  lines.once('line', (line) => {
    password = line;
    lines.close();
  });
  await once(lines, 'close');
  if (terminal) process.stderr.write('\n');
  if (password === '') throw new NoPasswordError();
  return password;
}
