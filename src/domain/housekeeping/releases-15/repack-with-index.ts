import { readdir, rm, stat } from 'node:fs/promises';
import { gitCommand, value } from '#git/command/git-command';
import { GitExitError } from '#git/command/process/exit-error';
import type { Repository } from '#storage/repository';

/** Packs below which there is nothing to combine. */
const MIN_PACKS = 3;
const USE_INDEX = [{ key: 'core.multiPackIndex', value: 'true' }];

/**
 * Writes a multi-pack-index, removes packs that it does not need, and combines small packs, as
 * MidxRepack of 15.0 does. An index that is damaged afterwards is written anew.
 */
export async function repackWithIndex(repository: Repository, signal: AbortSignal): Promise<void> {
  const run = async (action: string, ...options: Parameters<typeof value>[]): Promise<void> => {
    const command = gitCommand('multi-pack-index', {
      action,
      options: options.map(([name, word]) => value(name, word)),
    });
    await repository.run(command, { config: USE_INDEX, signal });
  };
  const verified = async (action: string, ...options: Parameters<typeof value>[]): Promise<void> => {
    await run(action, ...options);
    await run('verify').catch(async (error: unknown) => {
      if (!(error instanceof GitExitError) || signal.aborted) throw error;
      await rm(`${repository.path}/objects/pack/multi-pack-index`, { force: true });
      await run('write');
    });
  };
  await verified('write');
  await verified('expire');
  const batchSize = await batchSizeBytes(repository);
  if (batchSize !== undefined) await verified('repack', ['--batch-size', batchSize]);
  repository.caches.release(repository);
}

/** Returns a size that only the largest pack exceeds; `undefined` for few packs. */
async function batchSizeBytes({ path }: Repository): Promise<number | undefined> {
  const directory = `${path}/objects/pack`;
  const packs = (await readdir(directory)).filter((name) => name.endsWith('.pack'));
  if (packs.length < MIN_PACKS) return undefined;
  const sizes = await Promise.all(packs.map(async (name) => (await stat(`${directory}/${name}`)).size));
  const [, second = 0] = sizes.sort((a, b) => b - a);
  return second + 1;
}
