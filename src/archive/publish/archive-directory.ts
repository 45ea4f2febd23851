import { hash } from 'node:crypto';
import { join } from 'node:path';
import type { Storage } from '#storage/repository-target';
import { archiveRoot } from '#storage/storage-layout';

/** Returns the directory of the files of an archive on the disk of its storage. */
export function archiveDirectory(storage: Pick<Storage, 'path'>, url: string): string {
  return join(archiveRoot(storage), hash('sha256', url).slice(0, 32));
}
