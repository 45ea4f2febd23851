import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { ObjectFormatName } from '#git/repository-files/repository-format';
import { gitOutput, initRepository } from './init-repository.ts';

/**
 * Returns the ids of the objects in a pack, sorted. git checks the pack.
 *
 * @param directory For a temporary repository.
 * @param options Of `git index-pack`; by default all objects must be complete.
 */
export function idsInPack(
  pack: Buffer,
  {
    directory,
    objectFormat = 'sha1',
    options = ['--strict'],
  }: {
    readonly directory: string;
    readonly objectFormat?: ObjectFormatName;
    readonly options?: readonly string[] | undefined;
  },
): string[] {
  const path = mkdtempSync(join(directory, 'pack-'));
  initRepository(path, { objectFormat });
  gitOutput(path, ['index-pack', '--stdin', ...options], pack);
  const ids = gitOutput(path, ['cat-file', '--batch-all-objects', '--batch-check=%(objectname)']);
  rmSync(path, { recursive: true });
  return ids.split('\n').sort();
}
