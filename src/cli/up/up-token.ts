import { randomBytes } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { FOR_OTHERS } from '#base/files/for-others';
import { messageOf } from '#base/gitaly-error';
import { Secret } from '#base/secret';
import { GatewayArgumentError } from './gateway-options.ts';

/** Command line options of the token. */
export interface UpTokenOptions {
  readonly token?: string | undefined;
  /** A file with the token that only its owner can read. */
  readonly tokenFile?: string | undefined;
}

/** 256 bits cannot be guessed. */
const TOKEN_BYTES = 32;

/**
 * Returns the token of the command line, if there is one.
 *
 * @throws {GatewayArgumentError} for an empty token, both options, and a file that cannot be used.
 */
export function givenToken({ token, tokenFile }: UpTokenOptions): Secret | undefined {
  if (token !== undefined && tokenFile !== undefined)
    throw new GatewayArgumentError('use one of --token and --token-file');
  const text = tokenFile === undefined ? token : readToken(tokenFile);
  if (text === undefined) return undefined;
  if (text === '')
    throw new GatewayArgumentError(
      `${tokenFile ? `--token-file ${tokenFile}` : '--token'}: the token is empty`,
    );
  return new Secret(text);
}

export function newToken(): Secret {
  return new Secret(randomBytes(TOKEN_BYTES).toString('base64url'));
}

function readToken(path: string): string {
  try {
    if ((statSync(path).mode & FOR_OTHERS) !== 0)
      throw new Error(`other users can read it. Protect it with: chmod 600 ${path}`);
    return readFileSync(path, 'utf8').trim();
  } catch (error) {
    throw new GatewayArgumentError(`--token-file ${path}: ${messageOf(error)}`, { cause: error });
  }
}
