import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { loadConfig } from '#platform/config/load-config';
import { isAddress } from './open-target.ts';

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
  const folder = join(target, 'lfs');
  return isMade || existsSync(folder) ? pathToFileURL(folder).href : undefined;
}
