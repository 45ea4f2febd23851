import { rm, stat } from 'node:fs/promises';
import { ignoreMissing } from '#base/files/ignore-missing';
import { makeOneDirectory } from '#base/files/make-directory';
import { wrapped } from '#base/gitaly-error';
import type { Vote } from '#storage/lifecycle/voter';
import { replaceLocked } from '#storage/locks/locked-file';
import type { Repository } from '#storage/repository';
import { DIRECTORY_MODE } from '#storage/storage-layout';

const FILE_MODE = 0o644;
/** Limit of a file that git reads. @see git: attr.h, ATTR_MAX_FILE_SIZE */
const MAX_BYTES = 100 << 20;
/** Hash of the vote on a file that is removed. */
const NO_CONTENT = new Uint8Array(20);

/**
 * Writes `.gitattributes` of a commit to `info/attributes`, which git before 2.43 reads in a bare
 * repository; removes that file if the commit has none.
 *
 * @throws {LockTakenError} when the file is being changed.
 */
export async function applyAttributes(
  repository: Repository,
  commitId: string,
  { vote, signal }: { readonly vote: Vote | undefined; readonly signal: AbortSignal },
): Promise<void> {
  const file = `${repository.path}/info/attributes`;
  const options = { maxBytes: MAX_BYTES, signal };
  const object = await repository.objects.readObject(`${commitId}:.gitattributes`, options);
  if (object?.type === 'blob') {
    await makeOneDirectory(`${repository.path}/info`, { mode: DIRECTORY_MODE });
    await replaceLocked(file, object.data, { mode: FILE_MODE, vote });
  } else if (await exists(file)) {
    await castVote(vote, 'prepared');
    await rm(file, { force: true });
    await castVote(vote, 'committed');
  }
}

async function castVote(vote: Vote | undefined, phase: 'prepared' | 'committed'): Promise<void> {
  await vote?.(phase, NO_CONTENT).catch(wrapped(`${phase} vote`, 'FAILED_PRECONDITION'));
}

async function exists(path: string): Promise<boolean> {
  return (await stat(path).catch(ignoreMissing)) !== undefined;
}
