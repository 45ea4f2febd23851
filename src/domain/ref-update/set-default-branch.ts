import { wrap } from '#base/gitaly-error';
import { quote } from '#base/quote';
import { RefUpdateError } from '#git/refs/ref-update-error';
import { validateReference } from '#git/refs/validate-reference';
import { replaceLocked } from '#storage/locked-file';
import type { Repository } from '#storage/repository';
import { LockTakenError } from '#storage/repository-lock';
import type { Vote } from '#storage/voter';
import { inRefTransaction, type RefUpdateOptions } from './update-reference.ts';

const HEAD_MODE = 0o644;

export interface SetDefaultBranchOptions extends RefUpdateOptions {
  /** For a git before 2.46, whose hooks do not hear of symbolic references; `undefined` when nothing is voted on. */
  readonly vote: Vote | undefined;
}

/**
 * Makes HEAD name a reference, which need not exist.
 *
 * @param target full name; anything below `refs/`.
 * @throws {Error} `"x" is a malformed refname`; `commit: ` and what {@link updateReference} throws.
 */
export async function setDefaultBranch(repository: Repository, target: Buffer, options: SetDefaultBranchOptions): Promise<void> {
  if (validateReference(target) !== undefined) throw new Error(`${quote(target)} is a malformed refname`);
  try {
    if (repository.git.capabilities.symrefUpdate) {
      await inRefTransaction(repository, { ...options, noDereference: true }, (transaction) =>
        transaction.updateSymbolic('HEAD', target),
      );
    } else {
      await replaceHead(repository, target, options.vote);
    }
  } catch (error) {
    throw wrap(error, 'commit');
  }
}

/** What `git symbolic-ref` does, with votes: an older git changes symbolic references without asking its hooks. */
async function replaceHead(repository: Repository, target: Buffer, vote: Vote | undefined): Promise<void> {
  if (repository.refs.backend === 'reftable') throw new Error('changing HEAD of a reftable repository needs git 2.46 or newer');
  const content = Buffer.concat([Buffer.from('ref: '), target, Buffer.from('\n')]);
  try {
    await replaceLocked(`${repository.path}/HEAD`, content, { mode: HEAD_MODE, vote });
  } catch (error) {
    throw error instanceof LockTakenError ? new RefUpdateError('locked', { reference: Buffer.from('HEAD') }, error) : error;
  }
}
