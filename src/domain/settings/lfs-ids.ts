import type { Repository } from '#storage/repository';
import { readSetting } from './kept-settings.ts';

const ID = /^[\w-]{1,64}$/;

/** Reports whether a text can be an id of a repository in the store of Git LFS. */
export function isLfsId(text: string): boolean {
  return ID.test(text);
}

/**
 * Returns the ids under which the store of Git LFS has the files of a repository: its own, and
 * those of its sources. None if it has no files.
 */
export async function lfsIdsOf(repository: Repository): Promise<string[]> {
  return lfsIdsIn(await readSetting(repository, 'lfs-ids'));
}

/** Returns the ids in the content of the setting. */
export function lfsIdsIn(content: Buffer | undefined): string[] {
  return content?.toString().split('\n').filter(isLfsId) ?? [];
}
