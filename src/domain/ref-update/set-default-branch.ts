import { quote } from '#base/quote';
import { gitCommand } from '#git/command/git-command';
import { validateReference } from '#git/refs/validate-reference';
import { replaceLocked } from '#storage/locked-file';
import type { Repository } from '#storage/repository';
import type { Vote } from '#storage/voter';
import { inRefTransaction, type RefUpdateOptions } from './update-reference.ts';

const HEAD_MODE = 0o644;

export interface SetDefaultBranchOptions extends RefUpdateOptions {
  /** For a git whose hooks do not hear of symbolic references. */
  readonly vote: Vote | undefined;
}

/**
 * Makes HEAD name a reference, which need not exist.
 *
 * @throws {Error} `"x" is a malformed refname`; `commit: reference is already locked`.
 */
export async function setDefaultBranch(repository: Repository, target: Buffer, options: SetDefaultBranchOptions): Promise<void> {
  if (validateReference(target) !== undefined) throw new Error(`${quote(target)} is a malformed refname`);
  try {
    if (repository.git.capabilities.symrefUpdate) {
      await inRefTransaction(repository, { ...options, noDereference: true }, (transaction) => transaction.updateSymbolic('HEAD', target));
    } else {
      await writeHead(repository, target, options);
    }
  } catch (error) {
    throw new Error(`commit: ${error instanceof Error ? error.message : error}`, { cause: error });
  }
}
