import type { GitProcess } from '#git/command/process/git-process';
import type { HookSetup } from '#git/command/spawn-options';
import type { Vote } from '#storage/lifecycle/voter';
import type { Repository } from '#storage/repository';
import type { HooksDirectories } from '../hooks/hooks-directories.ts';
import { parseReferenceTransactionState, referenceTransactionVote } from '../hooks/reference-transaction.ts';
import { RELAY_ENVIRONMENT, RELAY_PIPES, type RelayHandler, serveRelay } from '../hooks/relay/relay.ts';

/** Hooks through which a git command that changes references takes part in a cluster's vote. */
export interface TransactionHooks {
  /** Votes on a change without a hook. A failure is also reported as one of a hook. */
  readonly vote: Vote;
  /** Waits until references may be locked, if the cluster orders its writes. */
  readonly enter?: (() => Promise<void>) | undefined;
  readonly setup: HookSetup;
  readonly extraPipes: number;
  /** Answers the hooks of a started command; resolves when the command needs them no longer. */
  serve(process: GitProcess): Promise<void>;
}

export interface TransactionHooksOptions {
  readonly vote: Vote;
  readonly enter?: (() => Promise<void>) | undefined;
  readonly directories: HooksDirectories;
  /**
   * Receives the reason of a failed vote: git, and so the caller, only learns that a hook failed.
   */
  readonly onError: (error: unknown) => void;
}

/**
 * Creates the hooks for changes of references without access checks. git requests a vote before and
 * after each change; nothing else runs.
 */
export function transactionHooks(repository: Repository, options: TransactionHooksOptions): TransactionHooks {
  const directory = options.directories.directoryFor(new Set(['reference-transaction']));
  const setup = directory === undefined ? 'disabled' : { directory, env: RELAY_ENVIRONMENT };
  const vote: Vote = async (phase, hash) => {
    await options.vote(phase, hash).catch((error: unknown) => {
      options.onError(error);
      throw error;
    });
  };
  const handle = voteHandler(repository, vote);
  return {
    vote,
    enter: options.enter,
    setup,
    extraPipes: RELAY_PIPES,
    async serve({ extra: [requests, answers] }) {
      if (requests !== undefined && answers !== undefined)
        await serveRelay(requests, answers, handle, options.onError);
    },
  };
}

function voteHandler(repository: Repository, vote: Vote): RelayHandler {
  return async ({ args: [word], stdin }) => {
    const state = parseReferenceTransactionState(word?.toString() ?? '');
    if (state === undefined) throw new Error(`reference-transaction hook has invalid state: "${word}"`);
    // Newer versions of git announce a transaction before they take locks. Gitaly's hook does not
    // vote on that.
    if (state === 'preparing') return 0;
    const change = referenceTransactionVote(state, stdin, repository.objectFormat);
    if (change === undefined) return 0;
    try {
      await vote(change.phase, change.hash);
      return 0;
    } catch {
      // git rolls the change back and reports it to its hook, which is still served
      return 1;
    }
  };
}
