import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { Secret } from '#base/secret';
import { openStore } from '#object-store/open-store';
import type { LfsOptions } from './lfs-server.ts';

/** Where the files of Git LFS are. */
export interface LfsStoreOptions {
  /** `file:///DIRECTORY`, `s3://BUCKET`, `gs://BUCKET`, `azblob://CONTAINER`. */
  readonly url: string;
  /**
   * File with the key of the tokens that an SSH gateway gives to git-lfs: its `lfs.tokenKeyPath`.
   * Default: no such tokens.
   */
  readonly tokenKeyPath?: string;
}

const KEY_BYTES = 32;

/** Opens the store. @throws the errors of the store and of the file. */
export async function openLfsStore({ tokenKeyPath, url }: LfsStoreOptions): Promise<LfsOptions> {
  const key = tokenKeyPath === undefined ? randomBytes(KEY_BYTES) : await readFile(tokenKeyPath);
  return { store: await openStore(url), tokenKey: new Secret(key.toString('base64')) };
}
