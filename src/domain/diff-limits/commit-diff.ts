import { wrap } from '#base/gitaly-error';
import { GitExitError } from '#git/command/exit-error';
import type { GitCommand } from '#git/command/git-command';
import { OutputBeforeFailure, outputBytes } from '#git/command/output-bytes';
import { changedFilesCommand, type IgnoredSpace, numstatCommand, type Sides, WITH_PREFIXES } from '#git/diff/commands';
import { DiffFormatError } from '#git/diff/diff-format-error';
import { type FileStat, parseNumstat } from '#git/diff/numstat';
import type { FileDiff } from '#git/diff/parse-diff';
import { patchOutput } from '#git/diff/patch-output';
import { HEX_LENGTH } from '#git/diff/raw-line';
import { parseRawRecords, type RawRecord } from '#git/diff/raw-records';
import type { Repository } from '#storage/repository';
import { headAttributes } from '../head-attributes/head-attributes.ts';
import { checked, diffFailure } from './diff-failure.ts';
import type { DiffLimits } from './diff-limiter.ts';
import { type LimitedDiff, limitedDiffs } from './limited-diffs.ts';

export interface CommitDiffQuery {
  readonly sides: Sides;
  readonly limits: DiffLimits;
  readonly wordDiff: boolean;
  /** `none` ignores nothing, but lists files as if something were ignored (a value that the request's own enum does not have). */
  readonly ignoredSpace: IgnoredSpace | 'none' | undefined;
  readonly signal: AbortSignal;
}

/** A file that differs only by what is ignored, or that was not reached. */
export interface UnshownDiff {
  readonly record: RawRecord;
  readonly stat: FileStat | undefined;
}

/** Files as they are known, and at the end the others. */
export type CommitDiffBatch = { readonly diffs: readonly LimitedDiff[] } | { readonly unshown: readonly UnshownDiff[] };

/** More paths than this are not told to git one by one: a command line has an end. */
const MAX_NAMED_PATHS = 500;

/**
 * Compares two revisions file by file. Where white space is ignored, the files that git does not list because of that, and those that the limits cut off,
 * come at the end, without patches.
 *
 * @throws {GitalyError} FAILED_PRECONDITION when git fails (`eachDiff: exit status 128`), INTERNAL when it prints something else than a diff.
 */
export async function* commitDiff(repository: Repository, query: CommitDiffQuery): AsyncGenerator<CommitDiffBatch> {
  const { sides, wordDiff, signal } = query;
  const { git } = repository;
  const hexLength = HEX_LENGTH[repository.git.objectFormat(repository)];
  const ignoredSpace = query.ignoredSpace === 'none' ? undefined : query.ignoredSpace;
  const options = { hexLength, wordDiff, ignoredSpace };
  await using unshown = query.ignoredSpace && new UnshownChanges(repository, changedFiles(sides, options), signal);

  // Older gits list all files, and leave out only the patch.
  const isHidden = ({ patch }: FileDiff) => ignoredSpace !== undefined && !git.capabilities.rawHidesIgnored && !patch.isPresent;
  try {
    await using attributes = await headAttributes(repository, { signal });
    const config = [...WITH_PREFIXES, ...attributes.config];
    const patches = checked(() => patchOutput(git, repository, { sides, ...options }, { signal, config }));
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

/** What `git diff-tree` lists and a diff with ignored white space did not show. */
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
    this.#all.catch(() => {}); // whoever asks for the rest sees it
  }

  shown(diffs: readonly LimitedDiff[]): void {
    for (const { change, isCutOff } of diffs) if (!isCutOff) this.#shown.push(keyOf(change.toPath, change.fromOid, change.toOid));
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
    await this.#all.catch(() => {}); // what it failed with was told, or nobody asked
  }

  async #read(command: GitCommand, signal: AbortSignal): Promise<Map<string, RawRecord>> {
    const { git } = this.#repository;
    const all = new Map<string, RawRecord>();
    try {
      for await (const records of parseRawRecords(outputBytes(git, this.#repository, command, { signal }))) {
        for (const record of records) all.set(keyOf(record.path, record.sources[0].oid, record.newOid), record);
      }
    } catch (error) {
      if (error instanceof DiffFormatError) throw wrap(error, 'diff-tree parse');
      // Whatever is wrong, the diff itself fails of it too.
      if (!(error instanceof GitExitError)) throw error;
    }
    return all;
  }

  async #stats({ left, right }: Sides, records: readonly RawRecord[]): Promise<Map<string, FileStat>> {
    const paths = records.length > MAX_NAMED_PATHS ? [] : records.map(({ path }) => path);
    const stats = new Map<string, FileStat>();
    try {
      const command = numstatCommand({ left, right, paths }, { literalPathspecs: true });
      await using attributes = await headAttributes(this.#repository, { signal: this.#signal });
      const options = { signal: this.#signal, config: attributes.config };
      const output = outputBytes(this.#repository.git, this.#repository, command, options);
      for await (const batch of parseNumstat(output)) for (const stat of batch) stats.set(stat.path.toString('latin1'), stat);
    } catch (error) {
      throw wrap(diffFailure(error), 'numstat');
    }
    return stats;
  }
}

function keyOf(path: Buffer, fromOid: string, toOid: string): string {
  return `${path.toString('latin1')}${fromOid}${toOid}`;
}
