import { readFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import type { StoredBackend } from '#git/repository-files/repository-format';
import { beginMoves, moveReferences } from '#storage/lifecycle/reference-files';
import { replaceLocked } from '#storage/locks/locked-file';
import type { Repository } from '#storage/repository';
import type { ReferencesDraft } from './draft-references.ts';

export interface SwitchOptions {
  readonly target: StoredBackend;
  readonly signal: AbortSignal;
}

const CONFIG_MODE = 0o644;
/**
 * Time for which the old references stay readable: a git that has read the old config file opens
 * them next.
 */
const OLD_READERS_MS = 500;

/**
 * Makes the references of a draft those of the repository, by one rename of the config file. The
 * old ones stay, unused; an abort before the rename changes nothing.
 */
export async function switchReferences(
  repository: Repository,
  draft: ReferencesDraft,
  { target, signal }: SwitchOptions,
): Promise<void> {
  signal.throwIfAborted();
  await beginMoves(draft.path, target);
  await moveReferences(repository.path, draft.path, target);
  await replaceLocked(`${repository.path}/config`, await readFile(`${draft.path}/config`), {
    mode: CONFIG_MODE,
  });
  await delay(OLD_READERS_MS);
}
