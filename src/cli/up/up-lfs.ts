import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { replaceFile } from '#base/files/replace-file';
import { GitalyError } from '#base/gitaly-error';
import { Secret } from '#base/secret';
import { mayCreate } from '#gateway/identity';
import type { LfsStoreOptions, PeopleCommand } from '#gateway/index';
import { LFS_TOKEN_SECONDS, lfsToken } from '#gateway/lfs-token';
import { checkRepositoryPath } from '#gateway/repository-path';
import { noteLfsStore } from '../lfs-store-url.ts';
import { GatewayArgumentError } from './gateway-options.ts';
import type { Holder } from './ssh-rights.ts';

/** Command line options of Git LFS. */
export interface UpLfsOptions {
  /** URL of the store, or `off`; default: the folder `lfs` in the directory. */
  readonly lfs?: string | undefined;
  /** Accepts pushes whose files were never sent. */
  readonly lfsAcceptMissing?: boolean;
  /** Address of the HTTP gateway for clients that log in by SSH. */
  readonly lfsUrl?: string | undefined;
}

const OFF = 'off';
const KEY_BYTES = 32;
const ANY_HOST = /^https?:\/\/(?:0\.0\.0\.0|\[::\])[:/]/;

/** Returns the store of the gateway; `undefined` if LFS is off. */
export function lfsStoreOf(directory: string, { lfs }: UpLfsOptions): LfsStoreOptions | undefined {
  if (lfs === OFF) return undefined;
  const url = lfs ?? pathToFileURL(join(directory, 'lfs')).href;
  return { url, tokenKeyPath: keyPathOf(directory) };
}

/** `[lfs]` of the server. */
export interface UpLfs {
  readonly url: string;
  readonly refuse_missing: boolean;
}

/** Returns the settings of the server behind the gateway; `undefined` if LFS is off. */
export function serverLfsOf(directory: string, options: UpLfsOptions): UpLfs | undefined {
  const store = lfsStoreOf(directory, options);
  return store && { url: store.url, refuse_missing: options.lfsAcceptMissing !== true };
}

/**
 * Makes a new key for the tokens that git-lfs gets by SSH, which are valid for some minutes, and
 * notes a store outside of the directory for the commands that copy it.
 */
export async function prepareLfs(directory: string, { lfs, lfsUrl }: UpLfsOptions): Promise<void> {
  if (lfsUrl !== undefined && !/^https?:$/.test(URL.parse(lfsUrl)?.protocol ?? ''))
    throw new GatewayArgumentError(
      `--lfs-url ${lfsUrl}: write the address of the gateway for clients, such as https://git.example.com`,
    );
  if (lfs === OFF) return;
  await replaceFile(keyPathOf(directory), randomBytes(KEY_BYTES), { durable: false });
  await noteLfsStore(directory, lfs);
}

/** Where clients that log in by SSH find the files. */
export interface SshLfs {
  readonly directory: string;
  /** Address of the HTTP gateway; `undefined` without one. */
  readonly httpUrl: string | undefined;
  readonly options: UpLfsOptions;
}

/**
 * Answers `git-lfs-authenticate PATH download|upload`: the address of the files, and a token.
 *
 * @throws {GitalyError} if the user may not, or there is no address.
 * @see git-lfs: "Server Discovery"
 */
export async function lfsAuthenticate(
  { identity, words: [, name = '', wanted] }: PeopleCommand,
  holder: Holder,
  { directory, httpUrl, options }: SshLfs,
): Promise<string> {
  if (options.lfs === OFF) throw new GitalyError('UNIMPLEMENTED', 'Git LFS is not served here.');
  const url = options.lfsUrl?.replace(/\/$/, '') ?? httpUrl;
  if (url === undefined || (options.lfsUrl === undefined && ANY_HOST.test(url)))
    throw new GitalyError(
      'FAILED_PRECONDITION',
      'Git LFS needs the address of the server: start it with --lfs-url.',
    );
  const segments = name.split('/').filter((segment) => segment !== '');
  const path = checkRepositoryPath(segments);
  const operation = wanted === 'upload' ? 'write' : 'read';
  const right = typeof path === 'string' ? await holder.at(path) : undefined;
  if (typeof path !== 'string' || right === undefined || (operation === 'write' && right === 'read'))
    throw new GitalyError('PERMISSION_DENIED', `You may not ${operation} this repository.`);
  const key = new Secret((await readFile(keyPathOf(directory))).toString('base64'));
  const token = lfsToken(
    { identity, operation, path, mayCreate: mayCreate(identity) },
    key,
    Date.now() / 1000,
  );
  return JSON.stringify({
    href: `${url}/${path.split('/').map(encodeURIComponent).join('/')}/info/lfs`,
    header: { Authorization: `Bearer ${token}` },
    expires_in: LFS_TOKEN_SECONDS,
  });
}

function keyPathOf(directory: string): string {
  return join(directory, 'lfs.key');
}
