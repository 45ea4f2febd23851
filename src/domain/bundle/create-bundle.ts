import { GitalyError } from '#base/gitaly-error';
import { quote } from '#base/go/quote';
import { LoopSlice } from '#base/loop-turns';
import { GitExitError } from '#git/command/exit-error';
import { flag, type GitOption, gitCommand, TO_STDOUT } from '#git/command/git-command';
import { outputBytes } from '#git/command/output-bytes';
import { isOid } from '#git/objects/object-id';
import { type RevisionInput, revisionInput } from '#git/objects/revision-input';
import { validateRevision } from '#git/refs/validate-revision';
import type { Repository } from '#storage/repository';
import { EmptyBundleError } from './empty-bundle-error.ts';
import { type BundleSelection, referencesBundle } from './references-bundle.ts';

const EMPTY = /^fatal: Refusing to create empty bundle\.$/m;

interface SignalOption {
  readonly signal: AbortSignal;
}

/**
 * Yields a bundle of all references. Bytes may come before an error.
 *
 * @throws {EmptyBundleError}; {GitalyError} INTERNAL `exit status N: stderr: "…"`.
 */
export async function* bundleOfAll(repository: Repository, options: SignalOption): AsyncGenerator<Buffer> {
  const selection = { added: new Set<string>(), excluded: new Set<string>() };
  if (yield* ofReferences(repository, selection, options)) return;
  yield* bundle(repository, [flag('--all')], { ...options, input: undefined });
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
  const selection = await selectionOf(repository, patterns, options);
  if (selection !== undefined && (yield* ofReferences(repository, selection, options))) return;
  const { stdin, words } = inputOf(repository, patterns);
  // Words remain only for a git that does not accept them on standard input; they are checked.
  const revisions = [flag('--ignore-missing'), { name: '--stdin', words: ['--stdin', ...words] }];
  yield* bundle(repository, revisions, { ...options, input: stdin });
}

const ALL = '--all';

/** Returns what a backup asks for: all references, and objects by id. @returns `undefined` for others. */
async function selectionOf(
  repository: Repository,
  patterns: readonly Uint8Array[],
  { signal }: SignalOption,
): Promise<BundleSelection | undefined> {
  const slice = new LoopSlice();
  const added = new Set<string>();
  const excluded = new Set<string>();
  let hasAll = false;
  for (const pattern of patterns) {
    if (slice.isOver) await slice.pause(signal);
    const text = Buffer.from(pattern).toString('latin1');
    const isExcluded = text.startsWith('^');
    const oid = isExcluded ? text.slice(1) : text;
    if (isOid(oid, repository.objectFormat)) (isExcluded ? excluded : added).add(oid);
    else if (text === ALL) hasAll = true;
    else return undefined;
  }
  return hasAll ? { added, excluded } : undefined;
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
    // As `git bundle` reports that its `git pack-objects` has failed.
    const stderr = quote(`${error.stderr}error: pack-objects died\n`);
    throw new GitalyError('INTERNAL', `exit status 1: stderr: ${stderr}`, { cause: error });
  }
}

function inputOf(repository: Repository, patterns: readonly Uint8Array[]): RevisionInput {
  const lines = patterns.filter((pattern) => pattern.length > 0);
  try {
    return revisionInput(repository.git, lines);
  } catch (error) {
    // git's words: it accepts no options there either.
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
