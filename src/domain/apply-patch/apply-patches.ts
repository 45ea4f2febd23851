import { randomBytes } from 'node:crypto';
import { basename } from 'node:path';
import { messageOf } from '#base/gitaly-error';
import { quote } from '#base/go/quote';
import { flag, type GitCommand, gitCommand } from '#git/command/git-command';
import { ZERO_OID } from '#git/names/object-id';
import { calendarDate, type Ident } from '#git/objects/write/format-ident';
import { requireDepthOf } from '#git/trees/tree-depth';
import type { Repository } from '#storage/repository';
import { removeTree } from '#storage/temp-directories';
import { runRecorded } from '../transactions/run-recorded.ts';
import type { TransactionHooks } from '../transactions/transaction-hooks.ts';
import { parseMailOutcomes, WorktreeVotes } from './worktree-votes.ts';

export interface Patches {
  /** Commit to apply them to. */
  readonly parentOid: string;
  /** Mails, in pieces of any size. Authors and dates are in them. */
  readonly mails: AsyncIterable<Uint8Array>;
  readonly committer: Ident;
  /** For the vote of the cluster on the working tree; `undefined` without a cluster. */
  readonly hooks: TransactionHooks | undefined;
  readonly signal: AbortSignal;
}

/**
 * A patch does not apply. The message is git's: `Patch failed at 0002 subject`, and a line feed.
 */
export class PatchFailedError extends Error {
  override readonly name = 'PatchFailedError';
}

/** Directory for working trees, below the repository. It is kept when it is empty. */
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
    const { failure } = await runRecorded(repository, add, { signal });
    if (failure !== undefined) throw new Error(`adding worktree: ${failure.message}`, { cause: failure });
    const votes = hooks && new WorktreeVotes(hooks.vote, ZERO_OID[repository.objectFormat]);
    await votes?.onAdded(parentOid).catch((cause: unknown) => {
      throw new Error('adding worktree: exit status 128', { cause });
    });
    await applyIn(repository, { worktree, votes }, patches);
    const options = [flag('--quiet'), flag('--verify')];
    const head = gitCommand('rev-parse', { options, revisions: ['HEAD^{commit}'] });
    return (await repository.run(head, { worktree, signal })).toString('latin1').trimEnd();
  } finally {
    await removeWorktree(repository, worktree);
  }
}

interface PatchedWorktree {
  readonly worktree: string;
  /** `undefined` without a cluster. */
  readonly votes: WorktreeVotes | undefined;
}

async function applyIn(
  repository: Repository,
  { worktree, votes }: PatchedWorktree,
  patches: Patches,
): Promise<void> {
  const { mails, committer, signal } = patches;
  const env = {
    GIT_COMMITTER_NAME: committer.name,
    GIT_COMMITTER_EMAIL: committer.email,
    GIT_COMMITTER_DATE: calendarDate(committer),
  };
  // The nodes vote on merges. git reports these only without `--quiet`.
  const isQuiet = votes === undefined || !repository.git.capabilities.autoMergeReference;
  const options = [...(isQuiet ? ['--quiet'] : []), '--3way'].map(flag);
  const run = { signal, worktree, env, input: mails };
  const { failure, stdout } = await runRecorded(repository, gitCommand('am', { options }), run);
  if (votes !== undefined) {
    const output = isQuiet ? '' : stdout;
    await voteOnMails(repository, { worktree, votes, output }, patches);
  }
  if (failure === undefined) return;
  // Older versions of git add advice for interactive use.
  const line = stdout.split('\n').find((each) => each.startsWith('Patch failed at '));
  if (line !== undefined) throw new PatchFailedError(`${line}\n`, { cause: failure });
  throw new Error(`apply patch: ${messageOf(failure)}, stderr: ${quote(failure.stderr)}`, { cause: failure });
}

const REFUSED = 'fatal: ref updates aborted by hook\n';

/** Votes on the result of `git am`. */
async function voteOnMails(
  repository: Repository,
  { worktree, votes, output }: { worktree: string; votes: WorktreeVotes; output: string },
  { parentOid, signal }: Patches,
): Promise<void> {
  const ask = async (command: GitCommand): Promise<string> =>
    (await repository.run(command, { worktree, signal })).toString('latin1').trimEnd();
  const format = ['--reverse', '--no-commit-header', '--format=%H %T'].map(flag);
  const made = await ask(gitCommand('rev-list', { options: format, revisions: [`${parentOid}..HEAD`] }));
  const commits = made
    .split('\n')
    .filter(Boolean)
    .map((line) => {
      const [oid = '', treeOid = ''] = line.split(' ');
      return { oid, treeOid };
    });
  const mails = parseMailOutcomes(output);
  const verify = ['--verify', '--quiet'].map(flag);
  const isConflict = mails.at(-1)?.isMerged === true;
  const merged = gitCommand('rev-parse', { options: verify, revisions: ['AUTO_MERGE'] });
  const applied = {
    parent: { oid: parentOid, treeOid: await treeOf(repository, parentOid, signal) },
    commits,
    mails,
    mergedTreeOid: isConflict ? await ask(merged).catch(() => undefined) : undefined,
  };
  await votes.onApplied(applied).catch((cause: unknown) => {
    throw new Error(`apply patch: exit status 128, stderr: ${quote(REFUSED)}`, { cause });
  });
}

async function treeOf(repository: Repository, commitOid: string, signal: AbortSignal): Promise<string> {
  return (await repository.objects.info(Buffer.from(`${commitOid}^{tree}`), { signal }))?.oid ?? '';
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
