import { wrap } from '#base/gitaly-error';
import { quote } from '#base/go/quote';
import { versionWith } from '#git/command/capabilities';
import { validateReference } from '#git/names/validate-reference';
import { RefUpdateError } from '#git/refs/update/ref-update-error';
import type { Vote } from '#storage/lifecycle/voter';
import { replaceLocked } from '#storage/locks/locked-file';
import { LockTakenError } from '#storage/locks/repository-lock';
import type { Repository } from '#storage/repository';
import { inRefTransaction, type RefUpdateOptions } from './update-reference.ts';

const HEAD_MODE = 0o644;

/**
 * Points HEAD to a reference, which need not exist.
 *
 * @param target full name; anything below `refs/`.
 * @throws {Error} `"x" is a malformed refname`; `commit: ` and what {@link updateReference} throws.
 */
export async function setDefaultBranch(
  repository: Repository,
  target: Buffer,
  options: RefUpdateOptions,
): Promise<void> {
  if (validateReference(target) !== undefined) throw new Error(`${quote(target)} is a malformed refname`);
  try {
    if (repository.git.capabilities.symrefUpdate) {
      await inRefTransaction(repository, { ...options, noDereference: true }, (transaction) =>
        transaction.updateSymbolic('HEAD', target),
      );
    } else {
      await using _recording = await repository.changeRecorder?.begin(repository, ['HEAD']);
      await replaceHead(repository, target, options.hooks?.vote);
    }
  } catch (error) {
    throw wrap(error, 'commit');
  }
}

/** Does what `git symbolic-ref` does, with votes: git before 2.46 runs no hooks for it. */
async function replaceHead(repository: Repository, target: Buffer, vote: Vote | undefined): Promise<void> {
  if (repository.refs.backend === 'reftable')
    throw new Error(
      `changing HEAD of a reftable repository needs git ${versionWith('symrefUpdate')} or newer`,
    );
  const content = Buffer.concat([Buffer.from('ref: '), target, Buffer.from('\n')]);
  try {
    await replaceLocked(`${repository.path}/HEAD`, content, { mode: HEAD_MODE, vote });
  } catch (error) {
    throw error instanceof LockTakenError
      ? new RefUpdateError('locked', { reference: Buffer.from('HEAD') }, error)
      : error;
  }
}
