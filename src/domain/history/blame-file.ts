import { writeFile } from 'node:fs/promises';
import { wrap } from '#base/gitaly-error';
import { GitExitError } from '#git/command/process/exit-error';
import { type BlameProblem, type BlameQuery, blame, blameProblem } from '#git/history/blame';
import type { Repository } from '#storage/repository';
import { createTempDirectory } from '#storage/temp-directories';

export interface FileBlame extends Omit<BlameQuery, 'ignoreRevsFile'> {
  /** Revision of a blob that lists the commits to ignore; empty for none. */
  readonly ignoreRevisionsBlob: Uint8Array;
}

/** A list of a hundred thousand commits. */
const MAX_IGNORE_LIST_BYTES = 8 * 1024 * 1024;

/** The list of commits to ignore does not exist, or is not a blob. */
export class IgnoreListError extends Error {
  override readonly name = 'IgnoreListError';
  readonly isMissing: boolean;

  constructor(isMissing: boolean) {
    super(isMissing ? 'cannot resolve ignore-revs blob' : 'ignore revision is not a blob');
    this.isMissing = isMissing;
  }
}

/** git could not blame. */
export class BlameError extends Error {
  override readonly name = 'BlameError';
  override readonly cause: GitExitError;
  /** `undefined` for an unknown reason. */
  readonly problem: BlameProblem | undefined;

  constructor(cause: GitExitError) {
    super(cause.message);
    this.cause = cause;
    this.problem = blameProblem(cause);
  }
}

/**
 * Yields for each line of a file the commit that it is from, in git's porcelain format.
 *
 * @throws {IgnoreListError} {BlameError}; {GitalyError} `starting blame: …` for arguments that git
 *   must not see.
 */
export async function* blameFile(
  repository: Repository,
  { ignoreRevisionsBlob, ...query }: FileBlame,
  signal: AbortSignal,
): AsyncGenerator<Buffer, void> {
  await using resources = new AsyncDisposableStack();
  const ignoreRevsFile =
    ignoreRevisionsBlob.length === 0
      ? undefined
      : await writeIgnoreList(repository, ignoreRevisionsBlob, { resources, signal });
  try {
    yield* start(repository, { ...query, ignoreRevsFile }, signal);
  } catch (error) {
    throw error instanceof GitExitError ? new BlameError(error) : error;
  }
}

function start(repository: Repository, query: BlameQuery, signal: AbortSignal): AsyncIterable<Buffer> {
  try {
    return blame(repository, query, signal);
  } catch (error) {
    throw wrap(error, 'starting blame');
  }
}

/** Writes the list to a temporary file, which is removed with `resources`. */
async function writeIgnoreList(
  { objects, storage }: Repository,
  blob: Uint8Array,
  { resources, signal }: { readonly resources: AsyncDisposableStack; readonly signal: AbortSignal },
): Promise<string> {
  const object = await objects.readObject(blob, { maxBytes: MAX_IGNORE_LIST_BYTES, signal });
  if (object?.type !== 'blob') throw new IgnoreListError(object === undefined);
  const directory = resources.use(await createTempDirectory(storage, 'blame-'));
  const file = `${directory.path}/ignore-revs`;
  await writeFile(file, object.data, { signal });
  return file;
}
