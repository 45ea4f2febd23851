import { readFile } from 'node:fs/promises';
import type { Vote } from '#storage/lifecycle/voter';
import { replaceLocked } from '#storage/locks/locked-file';
import type { Repository } from '#storage/repository';

const MODE = 0o644;

/**
 * Copies the `config` file of the source. The nodes of a cluster vote on it in any case.
 *
 * @param source the file's content.
 * @throws the error of `source`.
 */
export async function synchronizeConfig(
  repository: Repository,
  source: Promise<Buffer>,
  { vote }: { readonly vote: Vote | undefined },
): Promise<void> {
  const file = `${repository.path}/config`;
  const content = await source;
  const isSame = (await readFile(file).catch(() => undefined))?.equals(content) === true;
  if (isSame && vote === undefined) return;
  await replaceLocked(file, content, { mode: MODE, vote });
}
