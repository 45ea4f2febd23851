import { randomBytes } from 'node:crypto';
import { basename } from 'node:path';
import { writeChunk } from '#base/copy-stream';
import { messageOf } from '#base/gitaly-error';
import { quote } from '#base/quote';
import type { GitExitError } from '#git/command/exit-error';
import { flag, type GitCommand, gitCommand } from '#git/command/git-command';
import type { GitProcess } from '#git/command/git-process';
import { calendarDate, type Ident } from '#git/objects/format-ident';
import type { Repository } from '#storage/repository';
import { removeTree } from '#storage/temp-directories';
import type { TransactionHooks } from '../transactions/transaction-hooks.ts';

export interface Patches {
  /** Commit to apply them to. */
  readonly parentOid: string;
  /** Mails, in any pieces. Authors and dates are in them. */
  readonly mails: AsyncIterable<Uint8Array>;
  readonly committer: Ident;
  /** How the cluster votes on what git does to the references of the working tree; `undefined` when it does not. */
  readonly hooks: TransactionHooks | undefined;
  readonly signal: AbortSignal;
}

/** A patch does not apply. The message is git's: `Patch failed at 0002 subject`, and a line feed. */
export class PatchFailedError extends Error {
  override readonly name = 'PatchFailedError';
}

/** Where working trees are made, below the repository. Stays behind, empty. */
const WORKTREES = 'gitlab-worktree';
/** Removing a working tree may take this long, whoever has lost patience by then. */
const REMOVE_MS = 30_000;

/**
 * Applies mails with `git am --3way`, in a working tree of its own. The settings of the repository count (`apply.whitespace`), its hooks do not.
 * Objects go straight into the repository.
 *
 * @returns the id of the last commit, which is the parent where there are no mails.
 * @throws {PatchFailedError}; {Error} `apply patch: exit status 128, stderr: "…"`.
 */
export async function applyPatches(repository: Repository, patches: Patches): Promise<string> {
  const { parentOid, hooks, signal } = patches;
  const worktree = `${repository.path}/${WORKTREES}/am-${randomBytes(16).toString('hex')}`;
  try {
    const add = gitCommand('worktree', { action: 'add', options: [flag('--detach')], args: [worktree, parentOid] });
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
  const { failure, stdout } = await runWithHooks(repository, command, { hooks, signal, worktree, env, input: mails });
  if (failure === undefined) return;
  // Older versions of git go on with advice to somebody at a terminal.
  const [line] = /^Patch failed at [^\n]*\n/.exec(stdout) ?? [];
  if (line !== undefined) throw new PatchFailedError(line, { cause: failure });
  throw new Error(`apply patch: ${messageOf(failure)}, stderr: ${quote(failure.stderr)}`, { cause: failure });
}

interface HookedRun {
  readonly hooks: TransactionHooks | undefined;
  readonly signal: AbortSignal;
  readonly worktree?: string;
  readonly env?: Readonly<Record<string, Uint8Array | string>>;
  /** For standard input. Its failure ends the process. */
  readonly input?: AsyncIterable<Uint8Array>;
}

/** Runs a command that may change references of a working tree. @returns how it failed, if it did, and the head of what it printed. */
async function runWithHooks(
  repository: Repository,
  command: GitCommand,
  { hooks, signal, worktree, env, input }: HookedRun,
): Promise<{ failure: GitExitError | undefined; stdout: string }> {
  await using git = repository.spawn(command, {
    signal,
    worktree,
    hooks: hooks?.setup ?? 'disabled',
    extraPipes: hooks?.extraPipes ?? 0,
    stdin: input === undefined ? 'ignore' : 'pipe',
    ...(env && { env }),
  });
  const serving = hooks?.serve(git);
  const feeding = input && settled(feed(git, input));
  const stdout = await headOf(git);
  const exit = await git.exited;
  for (const pipe of git.extra) pipe.destroy();
  await serving;
  // A git that has failed does not wait for the rest of its input, nor do we.
  const fed = await Promise.race([feeding, undefined]);
  if (fed?.status === 'rejected') throw fed.reason;
  return { failure: exit.code === 0 ? undefined : git.exitError(exit), stdout };
}

async function settled(work: Promise<void>): Promise<PromiseSettledResult<void>> {
  const [result] = await Promise.allSettled([work]);
  return result;
}

/** Hands input to git until either has had enough. @throws what reading the input throws, and git is ended then. */
async function feed(git: GitProcess, input: AsyncIterable<Uint8Array>): Promise<void> {
  try {
    for await (const piece of input) {
      // A git that takes no more is explained by its exit code.
      const isTaken = await Promise.resolve(writeChunk(git.stdin, piece)).then(
        () => true,
        () => false,
      );
      if (!isTaken) return;
    }
    git.stdin.end();
  } catch (error) {
    git.kill();
    throw error;
  }
}

/** More than this is not about patches that fail. */
const MAX_STDOUT_BYTES = 64 * 1024;

async function headOf(git: GitProcess): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const chunk of git.stdout) {
      // A stream without an encoding yields Buffers.
      const piece = (chunk as Buffer).subarray(0, MAX_STDOUT_BYTES - bytes);
      bytes += piece.length;
      chunks.push(piece);
    }
  } catch (error) {
    // An abort closes the stream under the reader; how the process ended says it better.
    if (!git.isEnding) throw error;
  }
  return Buffer.concat(chunks).toString();
}

async function removeWorktree(repository: Repository, worktree: string): Promise<void> {
  const signal = AbortSignal.timeout(REMOVE_MS);
  const remove = gitCommand('worktree', { action: 'remove', options: [flag('--force')], args: [worktree] });
  try {
    await repository.run(remove, { signal, hooks: 'disabled' });
  } catch {
    // Half made, or git is in a hurry: what there is goes without it.
    await removeTree(worktree);
    await removeTree(`${repository.path}/worktrees/${basename(worktree)}`);
  }
}
