import { LoopSlice } from '#base/async/loop-turns';
import { GitalyError } from '#base/gitaly-error';
import { quote } from '#base/go/quote';
import { flag, type GitOption, gitCommand, TO_STDOUT } from '#git/command/git-command';
import { outputBytes } from '#git/command/output';
import { GitExitError } from '#git/command/process/exit-error';
import { validateRevision } from '#git/names/validate-revision';
import { type RevisionInput, revisionInput } from '#git/objects/revision-input';
import type { Repository } from '#storage/repository';
import type { SignalOption } from '../revisions/commit-id-of.ts';
import { BundlePatterns } from './bundle-patterns.ts';
import { type BundleSelection, patternsOf } from './bundle-selection.ts';
import { EmptyBundleError } from './empty-bundle-error.ts';
import { planBundle } from './plan-bundle.ts';

const EMPTY = /^fatal: Refusing to create empty bundle\.$/m;

const NOTHING: BundleSelection = { added: new Set(), excluded: new Set() };

/**
 * Yields a bundle of all references. Bytes may come before an error.
 *
 * @throws {EmptyBundleError}; {GitalyError} INTERNAL `exit status N: stderr: "…"`.
 */
export async function* bundleOfAll(repository: Repository, options: SignalOption): AsyncGenerator<Buffer> {
  if (yield* ofReferences(repository, NOTHING, options)) return;
  yield* bundle(repository, [flag('--all')], { ...options, input: undefined });
}

/**
 * Yields a bundle of all references and of objects by id. Bytes may come before an error.
 *
 * @throws as {@link bundleOf}.
 */
export async function* bundleOfSelection(
  repository: Repository,
  selection: BundleSelection,
  options: SignalOption,
): AsyncGenerator<Buffer> {
  if (yield* ofReferences(repository, selection, options)) return;
  const { stdin, words } = inputOf(repository, patternsOf(selection));
  yield* ignoringMissing(repository, { stdin, words }, options);
}

/**
 * Yields a bundle of what `git rev-list --stdin` would list. Bytes may come before an error.
 *
 * @param patterns references, pseudo-revisions and their negations (`^refs/heads/x`); what does
 *   not exist is left out.
 * @throws {EmptyBundleError}; {GitalyError} INTERNAL `exit status N: stderr: "…"`.
 */
export async function* bundleOf(
  repository: Repository,
  patterns: readonly Uint8Array[],
  options: SignalOption,
): AsyncGenerator<Buffer> {
  const slice = new LoopSlice();
  const collected = new BundlePatterns(repository.objectFormat);
  for (const pattern of patterns) {
    if (slice.isOver) await slice.pause(options.signal);
    collected.add(pattern);
  }
  yield* bundleOfPatterns(repository, collected, options);
}

/** Yields a bundle as {@link bundleOf}. @throws as that. */
export async function* bundleOfPatterns(
  repository: Repository,
  patterns: BundlePatterns,
  options: SignalOption,
): AsyncGenerator<Buffer> {
  const { selection } = patterns;
  if (selection !== undefined && (yield* ofReferences(repository, selection, options))) return;
  const { stdin, words } = inputOf(repository, patterns.list());
  yield* ignoringMissing(repository, { stdin, words }, options);
}

async function* ignoringMissing(
  repository: Repository,
  { stdin, words }: RevisionInput,
  options: SignalOption,
): AsyncGenerator<Buffer> {
  // Arguments remain only for a git that does not accept them on standard input; they are checked.
  const revisions = [flag('--ignore-missing'), { name: '--stdin', words: ['--stdin', ...words] }];
  yield* bundle(repository, revisions, { ...options, input: stdin });
}

/** Yields the bundle, unless only git can create it. @returns whether it did. */
async function* ofReferences(
  repository: Repository,
  selection: BundleSelection,
  options: SignalOption,
): AsyncGenerator<Buffer, boolean> {
  try {
    return yield* referencesBundle(repository, selection, options);
  } catch (error) {
    if (!(error instanceof GitExitError)) throw error;
    // The error of `git bundle` when its `git pack-objects` has failed.
    const stderr = quote(`${error.stderr}error: pack-objects died\n`);
    throw new GitalyError('INTERNAL', `exit status 1: stderr: ${stderr}`, { cause: error });
  }
}

function inputOf(repository: Repository, patterns: Iterable<Uint8Array>): RevisionInput {
  const lines = Array.from(patterns).filter((pattern) => pattern.length > 0);
  try {
    return revisionInput(repository.git, lines);
  } catch (error) {
    // git's message: it accepts no options there either.
    const option = lines.find((line) => validateRevision(line, { allowPseudo: true }) !== undefined);
    const stderr = quote(`fatal: invalid option '${Buffer.from(option ?? '')}' in --stdin mode\n`);
    throw new GitalyError('INTERNAL', `exit status 128: stderr: ${stderr}`, { cause: error });
  }
}

async function* bundle(
  repository: Repository,
  revisions: readonly GitOption[],
  options: SignalOption & { readonly input: Uint8Array | undefined },
): AsyncGenerator<Buffer> {
  const command = gitCommand('bundle', { action: 'create', options: [TO_STDOUT, ...revisions] });
  try {
    yield* outputBytes(repository, command, options);
  } catch (error) {
    if (!(error instanceof GitExitError)) throw error;
    if (EMPTY.test(error.stderr)) throw new EmptyBundleError();
    const message = `${error.message}: stderr: ${quote(error.stderr)}`;
    throw new GitalyError('INTERNAL', message, { cause: error });
  }
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
