import { randomBytes } from 'node:crypto';
import { basename } from 'node:path';
import { messageOf } from '#base/gitaly-error';
import { quote } from '#base/go/quote';
import { flag, gitCommand } from '#git/command/git-command';
import { calendarDate, type Ident } from '#git/objects/write/format-ident';
import { requireDepthOf } from '#git/trees/tree-depth';
import type { Repository } from '#storage/repository';
import { removeTree } from '#storage/temp-directories';
import { runWithHooks } from '../transactions/run-with-hooks.ts';
import type { TransactionHooks } from '../transactions/transaction-hooks.ts';

export interface Patches {
  /** Commit to apply them to. */
  readonly parentOid: string;
  /** Mails, in pieces of any size. Authors and dates are in them. */
  readonly mails: AsyncIterable<Uint8Array>;
  readonly committer: Ident;
  /** Hooks for the vote of the cluster on the working tree; `undefined` without a cluster. */
  readonly hooks: TransactionHooks | undefined;
  readonly signal: AbortSignal;
}

/**
 * A patch does not apply. The message is git's: `Patch failed at 0002 subject`, and a line feed.
 */
export class PatchFailedError extends Error {
  override readonly name = 'PatchFailedError';
}

/** Directory for working trees, below the repository. It remains, empty. */
const WORKTREES = 'gitlab-worktree';
/** Time limit for removing a working tree, also after the call has ended. */
const REMOVE_MS = 30_000;

/**
 * Applies mails with `git am --3way`, in a separate working tree. git reads the repository's
 * settings (`apply.whitespace`) and runs none of its hooks. Objects are written directly into the
 * repository.
 *
 * @returns the id of the last commit; the parent's if there are no mails.
 * @throws {PatchFailedError}; {Error} `apply patch: exit status 128, stderr: "…"`.
 */
export async function applyPatches(repository: Repository, patches: Patches): Promise<string> {
  const { parentOid, hooks, signal } = patches;
  const worktree = `${repository.path}/${WORKTREES}/am-${randomBytes(16).toString('hex')}`;
  await requireDepthOf(repository, `${parentOid}^{tree}`, signal);
  try {
    const add = gitCommand('worktree', {
      action: 'add',
      options: [flag('--detach')],
      args: [worktree],
      revisions: [parentOid],
    });
    const { failure } = await runWithHooks(repository, add, { hooks, signal });
    if (failure !== undefined) throw new Error(`adding worktree: ${failure.message}`, { cause: failure });
    await applyIn(repository, worktree, patches);
    const options = [flag('--quiet'), flag('--verify')];
    const head = gitCommand('rev-parse', { options, revisions: ['HEAD^{commit}'] });
    return (await repository.run(head, { worktree, signal })).toString('latin1').trimEnd();
  } finally {
    await removeWorktree(repository, worktree);
  }
}

async function applyIn(repository: Repository, worktree: string, patches: Patches): Promise<void> {
  const { mails, committer, hooks, signal } = patches;
  const env = {
    GIT_COMMITTER_NAME: committer.name,
    GIT_COMMITTER_EMAIL: committer.email,
    GIT_COMMITTER_DATE: calendarDate(committer),
  };
  const command = gitCommand('am', { options: [flag('--quiet'), flag('--3way')] });
  const { failure, stdout } = await runWithHooks(repository, command, {
    hooks,
    signal,
    worktree,
    env,
    input: mails,
  });
  if (failure === undefined) return;
  // Older versions of git add advice for interactive use.
  const [line] = /^Patch failed at [^\n]*\n/.exec(stdout) ?? [];
  if (line !== undefined) throw new PatchFailedError(line, { cause: failure });
  throw new Error(`apply patch: ${messageOf(failure)}, stderr: ${quote(failure.stderr)}`, { cause: failure });
}

async function removeWorktree(repository: Repository, worktree: string): Promise<void> {
  const signal = AbortSignal.timeout(REMOVE_MS);
  const remove = gitCommand('worktree', { action: 'remove', options: [flag('--force')], args: [worktree] });
  try {
    await repository.run(remove, { signal, hooks: 'disabled' });
  } catch {
    // It is incomplete, or git failed: its directories are removed without git.
    await removeTree(worktree);
    await removeTree(`${repository.path}/worktrees/${basename(worktree)}`);
  }
}
