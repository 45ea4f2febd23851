import { readFileSync } from 'node:fs';
import { messageOf } from '#base/gitaly-error';
import { systemErrorCode, systemErrorText } from '#base/go/system-error';
import { Secret } from '#base/secret';

/**
 * Reads a file of `auth.token_file`.
 *
 * @throws {Error} `reading token file: …`
 */
export function readToken(path: string): Secret {
  try {
    const token = readFileSync(path, 'utf8').trim();
    // It was not written completely: a server with an empty token would accept all who know that.
    if (token === '') throw new Error(`${path} is empty`);
    return new Secret(token);
  } catch (error) {
    const reason =
      systemErrorCode(error) === undefined ? messageOf(error) : `open ${path}: ${systemErrorText(error)}`;
    throw new Error(`reading token file: ${reason}`, { cause: error });
  }
}
