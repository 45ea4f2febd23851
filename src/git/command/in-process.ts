import { codeOf, GitalyError } from '#base/gitaly-error';
import { systemErrorCode } from '#base/go/system-error';
import { InvariantError } from '#base/invariant';
import { GitExitError } from './process/exit-error.ts';

/** Questions that can be answered without starting git; labels of a metric. See `in-process.md`. */
export type InProcessName =
  | 'branch_tips'
  | 'changed_files'
  | 'checksum'
  | 'conversation'
  | 'count_commits'
  | 'count_diverging'
  | 'default_branch'
  | 'diff_files'
  | 'find_ref'
  | 'has_branches'
  | 'head_target'
  | 'is_ancestor'
  | 'last_commit'
  | 'last_commits'
  | 'list_directory'
  | 'list_files'
  | 'list_refs'
  | 'ls_refs'
  | 'merge_base'
  | 'merge_commits'
  | 'merge_trees'
  | 'named_blobs'
  | 'negotiation'
  | 'push'
  | 'push_refs'
  | 'read_object'
  | 'read_ref'
  | 'recent_commits'
  | 'ref_exists'
  | 'resolve_name'
  | 'resolve_ref'
  | 'reused_packs'
  | 'unpicked_commits'
  | 'walked_packs';

/** Signals that only git can answer. Caught by {@link InProcess}; never reaches a caller of it. */
export class FallBackToGit extends Error {
  override readonly name = 'FallBackToGit';
}

export interface InProcessObserver {
  onAnswered(name: InProcessName): void;
  /** @param reason `undefined` when everything is switched off; a bounded set of texts. */
  onFellBack(name: InProcessName, reason: string | undefined): void;
}

export interface InProcessOptions {
  /** `false` always starts git. Default `true`. */
  readonly isEnabled?: boolean;
  readonly observer?: InProcessObserver;
}

/**
 * Answers questions in process where that is possible, and by git elsewhere. An attempt ends with
 * its answer, with {@link FallBackToGit}, or with the error of a system call; any other error
 * reaches the caller. One per server.
 */
export class InProcess {
  readonly isEnabled: boolean;
  readonly #observer: InProcessObserver | undefined;

  constructor({ isEnabled = true, observer }: InProcessOptions = {}) {
    this.isEnabled = isEnabled;
    this.#observer = observer;
  }

  async attempt<T>(
    name: InProcessName,
    answer: () => T | Promise<T>,
    askGit: () => T | Promise<T>,
  ): Promise<T> {
    if (this.#isTried(name)) {
      try {
        const result = await answer();
        this.#observer?.onAnswered(name);
        return result;
      } catch (error) {
        this.#fallBack(name, error);
      }
    }
    return await askGit();
  }

  /** Like {@link attempt}, without waiting. */
  attemptNow<T>(name: InProcessName, answer: () => T, askGit: () => T): T {
    if (this.#isTried(name)) {
      try {
        const result = answer();
        this.#observer?.onAnswered(name);
        return result;
      } catch (error) {
        this.#fallBack(name, error);
      }
    }
    return askGit();
  }

  /** Like {@link attempt} for lists: `askGit` has to continue where `answer` stopped. */
  async *attemptEach<T>(
    name: InProcessName,
    answer: () => AsyncIterable<T>,
    askGit: () => AsyncIterable<T>,
  ): AsyncGenerator<T, void, undefined> {
    if (this.#isTried(name)) {
      let hasFailed = false;
      try {
        yield* answer();
        return;
      } catch (error) {
        hasFailed = true;
        this.#fallBack(name, error);
      } finally {
        // Also for a reader that has enough.
        if (!hasFailed) this.#observer?.onAnswered(name);
      }
    }
    yield* askGit();
  }

  #isTried(name: InProcessName): boolean {
    if (!this.isEnabled) this.#observer?.onFellBack(name, undefined);
    return this.isEnabled;
  }

  #fallBack(name: InProcessName, error: unknown): void {
    const reason = error instanceof FallBackToGit ? error.message : systemErrorCode(error);
    if (reason === undefined) throw error;
    this.#observer?.onFellBack(name, reason);
  }
}

/**
 * Rethrows a failure to read an object as {@link FallBackToGit}: git, started for the whole
 * question, reports what is wrong. Rethrows aborts and our own errors as they are.
 *
 * @param reason one of a bounded set of texts.
 */
export function fallBackOnFailure(error: unknown, reason = 'an object cannot be read'): never {
  const code = codeOf(error);
  const isAbort = code === 'CANCELLED' || code === 'DEADLINE_EXCEEDED';
  const isOfGit = error instanceof GitalyError || error instanceof GitExitError;
  if (!isAbort && isOfGit && !(error instanceof InvariantError))
    throw new FallBackToGit(reason, { cause: error });
  throw error;
}
