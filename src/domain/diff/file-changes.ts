import type { Sides } from '#git/diff/commands';
import { type ChangedPath, splitTypeChange } from '#git/diff/parse/raw-line';
import { parseRawRecords, type RawRecord } from '#git/diff/parse/raw-records';
import { rawOutput } from '#git/diff/raw-output';
import type { Repository } from '#storage/repository';
import { checked, diffFailure } from './diff-failure.ts';

/**
 * Lists the files that differ between two revisions, without patches. A type change is listed as a
 * removal and an addition.
 *
 * @throws {GitalyError} `cmd: …` for a revision that git must not receive; as {@link diffFailure}.
 */
export async function* fileChanges(
  repository: Repository,
  sides: Sides,
  { signal }: { readonly signal: AbortSignal },
): AsyncGenerator<ChangedPath[]> {
  const output = checked(() => rawOutput(repository, sides, signal));
  try {
    for await (const records of parseRawRecords(output)) yield records.map(changeOf).flatMap(splitTypeChange);
  } catch (error) {
    throw diffFailure(error);
  }
}

function changeOf({ sources: [source], newMode, newOid, path, oldPath }: RawRecord): ChangedPath {
  const { status, mode, oid } = source;
  return {
    status,
    oldMode: mode,
    newMode,
    fromOid: oid,
    toOid: newOid,
    fromPath: oldPath ?? path,
    toPath: path,
  };
}
