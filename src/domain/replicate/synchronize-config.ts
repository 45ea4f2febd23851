import { readFile } from 'node:fs/promises';
import type { Vote } from '#storage/lifecycle/voter';
import { replaceLocked } from '#storage/locks/locked-file';
import type { Repository } from '#storage/repository';
import type { RemoteRepository } from '../remote-repository/remote-repository.ts';

const MODE = 0o644;

/** Copies the `config` file of the source. The nodes of a cluster vote on it in any case. */
export async function synchronizeConfig(
  repository: Repository,
  source: RemoteRepository,
  { vote }: { readonly vote: Vote | undefined },
): Promise<void> {
  const file = `${repository.path}/config`;
  const content = await source.config();
  const isSame = (await readFile(file).catch(() => undefined))?.equals(content) === true;
  if (isSame && vote === undefined) return;
  await replaceLocked(file, content, { mode: MODE, vote });
}
