import type { GitProcess } from '#git/command/git-process';
import type { HookSetup } from '#git/git';
import type { Repository } from '#storage/repository';
import type { Vote } from '#storage/voter';
import type { HooksDirectories } from '../hooks/hooks-directories.ts';
import { parseReferenceTransactionState, referenceTransactionBallot } from '../hooks/reference-transaction.ts';
import { RELAY_ENVIRONMENT, RELAY_PIPES, type RelayHandler, serveRelay } from '../hooks/relay.ts';

/** What a git command that changes references needs for its part in a cluster's vote. */
export interface TransactionHooks {
  readonly setup: HookSetup;
  readonly extraPipes: number;
  /** Answers the hooks of a started command; resolves when the command is done with them. */
  serve(process: GitProcess): Promise<void>;
}

export interface TransactionHooksOptions {
  readonly vote: Vote;
  readonly directories: HooksDirectories;
  /** Told why a vote failed: git, and with it the caller, only learns that a hook did. */
  readonly onError: (error: unknown) => void;
}

/**
 * Hooks for changes of references that users have no say in: git asks for a vote before and after each change, and nothing else
 * runs.
 */
export function transactionHooks(repository: Repository, options: TransactionHooksOptions): TransactionHooks {
  const directory = options.directories.directoryFor(new Set(['reference-transaction']));
  const setup = directory === undefined ? 'disabled' : { directory, env: RELAY_ENVIRONMENT };
  const handle = voteHandler(repository, options);
  return {
    setup,
    extraPipes: RELAY_PIPES,
    async serve({ extra: [requests, answers] }) {
      if (requests !== undefined && answers !== undefined) await serveRelay(requests, answers, handle, options.onError);
    },
  };
}

function voteHandler(repository: Repository, { vote, onError }: TransactionHooksOptions): RelayHandler {
  return async ({ args: [word], stdin }) => {
    const state = parseReferenceTransactionState(word?.toString() ?? '');
    if (state === undefined) throw new Error(`reference-transaction hook has invalid state: "${word}"`);
    // Newer git says that it will begin before it locks anything. Gitaly's hook does not vote on that.
    if (state === 'preparing') return 0;
    const ballot = referenceTransactionBallot(state, stdin, repository.git.objectFormat(repository));
    if (ballot === undefined) return 0;
    try {
      await vote(ballot.phase, ballot.hash);
      return 0;
    } catch (error) {
      onError(error);
      return 1; // git gives the change up and says so to its hook, which we are still there to answer
    }
  };
}
