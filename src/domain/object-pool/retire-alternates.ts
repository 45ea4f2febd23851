import { randomBytes } from 'node:crypto';
import { link, rename, unlink } from 'node:fs/promises';
import { posix } from 'node:path';
import { syncPath } from '#base/files/sync-path';
import type { Repository } from '#storage/repository';

const RANDOM_BYTES = 6;

/** The copy of a repository's alternates that is kept for operators when it leaves a pool. */
export interface AlternatesBackup {
  /** Removes the alternates, so that the repository is on its own. */
  retire(): Promise<void>;
  /** Puts removed alternates back. The copy stays. */
  restore(): Promise<void>;
}

/** Makes the copy, `alternates.<seconds since 1970>.<random>`, a hard link. */
export async function backUpAlternates({ path }: Repository): Promise<AlternatesBackup> {
  const file = `${path}/objects/info/alternates`;
  const seconds = Math.floor(Date.now() / 1000);
  const backup = `${file}.${seconds}.${randomBytes(RANDOM_BYTES).toString('hex')}`;
  await link(file, backup);
  return {
    async retire() {
      await unlink(file);
      await syncPath(posix.dirname(file));
    },
    async restore() {
      await link(backup, `${backup}.2`);
      await rename(`${backup}.2`, file);
      await syncPath(posix.dirname(file));
    },
  };
}
