import { wrap } from '#base/gitaly-error';
import type { GitCommand } from '#git/command/git-command';
import { OutputBeforeFailure, outputBytes } from '#git/command/output';
import { GitExitError } from '#git/command/process/exit-error';
import { changedFilesCommand, type IgnoredSpace, type Sides, WITH_PREFIXES } from '#git/diff/commands';
import { DiffFormatError } from '#git/diff/parse/diff-format-error';
import type { FileStat } from '#git/diff/parse/numstat';
import type { FileDiff } from '#git/diff/parse/parse-diff';
import { parseRawRecords, type RawRecord } from '#git/diff/parse/raw-records';
import { patchOutput } from '#git/diff/patch-output';
import { OID_DIGITS } from '#git/names/object-id';
import type { Repository } from '#storage/repository';
import { checked, diffFailure } from './diff-failure.ts';
import type { DiffLimits } from './diff-limiter.ts';
import { fileStats } from './file-stats.ts';
import { headAttributes } from './head-attributes.ts';
import { type LimitedDiff, limitedDiffs } from './limited-diffs.ts';

export interface CommitDiffQuery {
  readonly sides: Sides;
  readonly limits: DiffLimits;
  readonly wordDiff: boolean;
  /**
   * `none` ignores nothing, but lists files as if something were ignored (a value that the
   * request's own enum lacks).
   */
  readonly ignoredSpace: IgnoredSpace | 'none' | undefined;
  readonly signal: AbortSignal;
}

/** A file that differs only by ignored white space, or that was not reached. */
export interface UnshownDiff {
  readonly record: RawRecord;
  readonly stat: FileStat | undefined;
}

/** Files with their diffs; files without a diff follow at the end. */
export type CommitDiffBatch =
  | { readonly diffs: readonly LimitedDiff[] }
  | { readonly unshown: readonly UnshownDiff[] };

/**
 * Limit of paths that are passed to git one by one, because the length of a command line is
 * limited.
 */
const MAX_NAMED_PATHS = 500;

/**
 * Compares two revisions file by file. If white space is ignored, the files that git omits because
 * of it, and those beyond the limits, come at the end, without patches.
 *
 * @throws {GitalyError} FAILED_PRECONDITION when git fails (`eachDiff: exit status 128`), INTERNAL
 *   when its output is not a diff.
 */
export async function* commitDiff(
  repository: Repository,
  query: CommitDiffQuery,
): AsyncGenerator<CommitDiffBatch> {
  const { sides, wordDiff, signal } = query;
  const hexLength = OID_DIGITS[repository.objectFormat];
  const ignoredSpace = query.ignoredSpace === 'none' ? undefined : query.ignoredSpace;
  const options = { hexLength, wordDiff, ignoredSpace };
  await using unshown =
    query.ignoredSpace && new UnshownChanges(repository, changedFiles(sides, options), signal);

  // Older gits list all files, and omit only the patch.
  const isHidden = ({ patch }: FileDiff) =>
    ignoredSpace !== undefined && !repository.git.capabilities.rawHidesIgnored && !patch.isPresent;
  try {
    await using opened = new AsyncDisposableStack();
    const config = async () => [
      ...WITH_PREFIXES,
      ...opened.use(await headAttributes(repository, { signal })).config,
    ];
    const patches = checked(() => patchOutput(repository, { sides, ...options }, { signal, config }));
    const output = new OutputBeforeFailure(patches, signal);
    for await (const diffs of limitedDiffs(output, { hexLength, limits: query.limits, isHidden })) {
      unshown?.shown(diffs);
      yield { diffs };
    }
    if (output.failure !== undefined) throw output.failure;
  } catch (error) {
    throw wrap(diffFailure(error), 'eachDiff');
  }
  const rest = await unshown?.rest(sides);
  if (rest !== undefined) yield { unshown: rest };
}

function changedFiles(sides: Sides, options: Parameters<typeof changedFilesCommand>[1]): GitCommand {
  try {
    return changedFilesCommand(sides, options);
  } catch (error) {
    throw wrap(wrap(error, 'diff-tree'), 'diff-tree');
  }
}

/** The changes that `git diff-tree` lists and a diff with ignored white space does not. */
class UnshownChanges implements AsyncDisposable {
  readonly #repository: Repository;
  readonly #signal: AbortSignal;
  readonly #left = new AbortController();
  readonly #all: Promise<Map<string, RawRecord>>;
  readonly #shown: string[] = [];

  constructor(repository: Repository, command: GitCommand, signal: AbortSignal) {
    this.#repository = repository;
    this.#signal = signal;
    this.#all = this.#read(command, AbortSignal.any([signal, this.#left.signal]));
    this.#all.catch(() => {}); // reading the rest reports it
  }

  shown(diffs: readonly LimitedDiff[]): void {
    for (const { change, isCutOff } of diffs)
      if (!isCutOff) this.#shown.push(changeKey(change.toPath, change.fromOid, change.toOid));
  }

  async rest(sides: Sides): Promise<UnshownDiff[]> {
    const rest = await this.#all;
    for (const key of this.#shown) rest.delete(key);
    if (rest.size === 0) return [];
    const records = [...rest.values()];
    const stats = await this.#stats(sides, records);
    return records.map((record) => ({ record, stat: stats.get(record.path.toString('latin1')) }));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#left.abort();
    await this.#all.catch(() => {}); // its failure was reported, or the rest was not read
  }

  async #read(command: GitCommand, signal: AbortSignal): Promise<Map<string, RawRecord>> {
    const all = new Map<string, RawRecord>();
    try {
      for await (const records of parseRawRecords(outputBytes(this.#repository, command, { signal }))) {
        for (const record of records)
          all.set(changeKey(record.path, record.sources[0].oid, record.newOid), record);
      }
    } catch (error) {
      if (error instanceof DiffFormatError) throw wrap(error, 'diff-tree parse');
      // The diff itself fails for the same reason.
      if (!(error instanceof GitExitError)) throw error;
    }
    return all;
  }

  async #stats({ left, right }: Sides, records: readonly RawRecord[]): Promise<Map<string, FileStat>> {
    const paths = records.length > MAX_NAMED_PATHS ? [] : records.map(({ path }) => path);
    const stats = new Map<string, FileStat>();
    try {
      const options = { signal: this.#signal, literalPathspecs: true };
      for await (const batch of fileStats(this.#repository, { left, right, paths }, options))
        for (const stat of batch) stats.set(stat.path.toString('latin1'), stat);
    } catch (error) {
      throw wrap(diffFailure(error), 'numstat');
    }
    return stats;
  }
}

function changeKey(path: Buffer, fromOid: string, toOid: string): string {
  return `${path.toString('latin1')}${fromOid}${toOid}`;
}
