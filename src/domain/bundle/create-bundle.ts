import { GitalyError } from '#base/gitaly-error';
import { quote } from '#base/go/quote';
import { GitExitError } from '#git/command/exit-error';
import { flag, type GitOption, gitCommand, TO_STDOUT } from '#git/command/git-command';
import { outputBytes } from '#git/command/output-bytes';
import { type RevisionInput, revisionInput } from '#git/objects/revision-input';
import { validateRevision } from '#git/refs/validate-revision';
import type { Repository } from '#storage/repository';

/** The repository has nothing that the bundle could contain. */
export class EmptyBundleError extends Error {
  override readonly name = 'EmptyBundleError';

  constructor() {
    super('refusing to create empty bundle');
  }
}

const EMPTY = /^fatal: Refusing to create empty bundle\.$/m;

interface SignalOption {
  readonly signal: AbortSignal;
}

/**
 * Yields a bundle of all references. Bytes may come before an error.
 *
 * @throws {EmptyBundleError}; {GitalyError} INTERNAL `exit status N: stderr: "…"`.
 */
export function bundleOfAll(repository: Repository, options: SignalOption): AsyncGenerator<Buffer> {
  return bundle(repository, [flag('--all')], { ...options, input: undefined });
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
  const { stdin, words } = inputOf(repository, patterns);
  // Words remain only for a git that does not accept them on standard input; they are checked.
  const revisions = [flag('--ignore-missing'), { name: '--stdin', words: ['--stdin', ...words] }];
  yield* bundle(repository, revisions, { ...options, input: stdin });
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
