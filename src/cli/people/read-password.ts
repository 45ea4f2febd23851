import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { Writable } from 'node:stream';

/** Standard input has no password. */
export class NoPasswordError extends Error {
  override readonly name = 'NoPasswordError';
  override readonly message = 'standard input has no password. Type one, or generate a token with --token.';
}

/** Reads one line. Input at a terminal is not shown. @throws {NoPasswordError} */
export async function readPassword(
  stdin: NodeJS.ReadableStream & { readonly isTTY?: boolean } = process.stdin,
): Promise<string> {
  const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() });
  const terminal = stdin.isTTY === true;
  if (terminal) process.stderr.write('Password: ');
  const lines = createInterface({ input: stdin, output: nowhere, terminal });
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
