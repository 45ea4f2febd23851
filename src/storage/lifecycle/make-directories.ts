import { mkdir, stat } from 'node:fs/promises';
import { relative } from 'node:path';
import { systemErrorCode } from '#base/go/system-error';
import type { Storage } from '../repository-target.ts';
import { DIRECTORY_MODE } from '../storage-layout.ts';

/**
 * Creates a directory in a storage and its missing parents, but never the storage itself: a missing
 * one may be unmounted, and a directory in its place would look like an empty storage.
 *
 * @param directory absolute and clean, the storage's own path or below it. An existing one is not
 *   an error.
 * @throws system errors: ENOENT when the storage is missing, EEXIST or ENOTDIR when a file is in
 *   the way.
 */
export async function makeDirectories(storage: Storage, directory: string): Promise<void> {
  let path = storage.path;
  for (const name of relative(storage.path, directory).split('/').filter(Boolean)) {
    path = `${path}/${name}`;
    try {
      await mkdir(path, { mode: DIRECTORY_MODE });
    } catch (error) {
      if (systemErrorCode(error) !== 'EEXIST' || !(await stat(path)).isDirectory()) throw error;
    }
  }
}
