import { existsSync, readFileSync, statSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { replaceFile } from '#base/files/replace-file';
import { loadConfig } from '#platform/config/load-config';
import { isAddress } from './open-target.ts';

const FOLDER = 'lfs';
/** File in a directory of `up` that names a store which is not its folder. */
const NOTE = 'lfs.store';

/**
 * Notes where `up` keeps the files of Git LFS of a directory, without the options of the URL, which
 * may be secret.
 *
 * @param url `undefined` for the folder in the directory.
 */
export async function noteLfsStore(directory: string, url: string | undefined): Promise<void> {
  const folder = resolve(directory, FOLDER);
  const store = url?.replace(/[?#].*$/s, '') ?? folder;
  const note = join(directory, NOTE);
  if (resolve(store) === folder || store === pathToFileURL(folder).href) await rm(note, { force: true });
  else await replaceFile(note, `${store}\n`, { durable: false });
}

/** Returns the store of Git LFS that a directory of `up` had last, unless it is the folder in it. */
export function notedLfsStore(target: string): string | undefined {
  const note = join(target, NOTE);
  return existsSync(note) ? readFileSync(note, 'utf8').trim() : undefined;
}

/**
 * Returns the URL of the store of Git LFS of a server: that of its configuration, or the folder in
 * a directory of `up`; `undefined` if it is not known.
 *
 * @param isMade true if the folder need not exist.
 */
export async function lfsStoreUrl(target: string, isMade = false): Promise<string | undefined> {
  if (isAddress(target) || !existsSync(target)) return undefined;
  const isDirectory = statSync(target).isDirectory();
  const file = isDirectory ? join(target, 'config.toml') : target;
  if (existsSync(file)) return (await loadConfig(file)).lfs.url;
  const folder = join(target, FOLDER);
  return isMade || existsSync(folder) ? pathToFileURL(folder).href : undefined;
}
