import { GitalyError, wrap } from '#base/gitaly-error';
import { mapAhead } from '#base/streams/map-ahead';
import { GitExitError } from '#git/command/process/exit-error';
import { parseRawRecords, type RawRecord } from '#git/diff/parse/raw-records';
import { rawOutput } from '#git/diff/raw-output';
import { kindOf } from '#git/names/entry-kind';
import type { Repository } from '#storage/repository';

/** One changed file with the size of its blob. */
export interface RawChange {
  readonly record: RawRecord;
  /** Blob of the new side, or of the old side of a deleted file; `undefined` for a submodule. */
  readonly blob: { readonly oid: string; readonly sizeBytes: number } | undefined;
}

/** Objects that are looked up at once. */
const LOOK_UP_AHEAD = 256;

/**
 * Compares two trees or commits, with renames found by git's defaults, in git's order and in
 * batches as git prints them.
 *
 * @throws {GitalyError} without a code: `wait git diff: exit status 129`.
 */
export async function* rawChanges(
  repository: Repository,
  { from, to }: { readonly from: string; readonly to: string },
  signal: AbortSignal,
): AsyncGenerator<RawChange[]> {
  const output = rawOutput(repository, { left: from, right: to }, signal);
  try {
    for await (const records of parseRawRecords(output))
      yield await Array.fromAsync(mapAhead(records, LOOK_UP_AHEAD, withBlob));
  } catch (error) {
    throw error instanceof GitExitError
      ? wrap(error, 'wait git diff', 'INTERNAL', { metadata: { stderr: error.stderr } })
      : error;
  }

  async function withBlob(record: RawRecord): Promise<RawChange> {
    const [source] = record.sources;
    const [mode, oid] = source.status === 'D' ? [source.mode, source.oid] : [record.newMode, record.newOid];
    if (kindOf(mode) === 'submodule') return { record, blob: undefined };
    const object = await repository.objects.info(oid, { signal });
    if (object === undefined) throw new GitalyError('UNKNOWN', `blob ${oid} is missing`);
    return { record, blob: { oid, sizeBytes: object.size } };
  }
}
