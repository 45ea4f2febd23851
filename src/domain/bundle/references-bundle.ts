import { flag, gitCommand } from '#git/command/git-command';
import { outputBytes } from '#git/command/output';
import { GitExitError } from '#git/command/process/exit-error';
import type { Repository } from '#storage/repository';
import type { BundleSelection } from './bundle-selection.ts';
import { EmptyBundleError } from './empty-bundle-error.ts';
import { planBundle } from './plan-bundle.ts';

interface SignalOption {
  readonly signal: AbortSignal;
}

/**
 * Yields the bundle that `git bundle create --all --ignore-missing` creates, with `git
 * pack-objects`. git 2.39 compares each reference with every other one, and all versions look for
 * six files for each of them: a minute for 400,000 references.
 *
 * The header is held (64 MiB at most) until git has found the objects.
 *
 * @returns false, without having yielded anything, if only git can tell the contents: names that
 *   are ambiguous, worktrees, references to trees and blobs in an increment, damaged repositories.
 * @throws {EmptyBundleError} after the header; {GitExitError} of `pack-objects`.
 */
export async function* referencesBundle(
  repository: Repository,
  selection: BundleSelection,
  { signal }: SignalOption,
): AsyncGenerator<Buffer, boolean> {
  const plan = await unlessGitFails(() => planBundle(repository, selection, signal), signal);
  if (plan === undefined) return false;
  if (plan.isEmpty) {
    yield* plan.header;
    throw new EmptyBundleError();
  }
  const pack = outputBytes(repository, PACK_OBJECTS, { signal, input: plan.revisions });
  try {
    // git has read all objects that it was given before it writes.
    const start = await unlessGitFails(() => pack.next(), signal);
    if (start === undefined || start.done === true) return false;
    yield* plan.header;
    yield start.value;
    yield* pack;
  } finally {
    await pack.return();
  }
  return true;
}

/** The options of `git bundle`. */
const PACK_OBJECTS = gitCommand('pack-objects', {
  options: ['--stdout', '--thin', '--delta-base-offset', '--quiet', '--revs'].map(flag),
});

async function unlessGitFails<T>(work: () => Promise<T>, signal: AbortSignal): Promise<T | undefined> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof GitExitError && !signal.aborted) return undefined;
    throw error;
  }
}
