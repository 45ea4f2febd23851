import { open, utimes } from 'node:fs/promises';
import { GitalyError } from '#base/gitaly-error';
import type { ConfigPair } from '#git/command/config';
import { flag, type GitOption, gitCommand, value } from '#git/command/git-command';
import { GitExitError } from '#git/command/process/exit-error';
import { FULL_REPACK_TIMESTAMP } from '#storage/lifecycle/create-repository';
import { isPoolPath } from '#storage/pool-path';
import type { Repository } from '#storage/repository';
import type { RepackPlan } from '../plan.ts';
import { gitTime } from './git-time.ts';
import { runRepack } from './run-repack.ts';

/** A pack has at least twice the objects of the next smaller one. */
const GEOMETRIC_FACTOR = 2;

/**
 * Repacks the objects of a repository.
 *
 * @throws {GitalyError} INTERNAL `repack failed with error code N`.
 */
export async function repack(repository: Repository, plan: RepackPlan, signal: AbortSignal): Promise<void> {
  if (plan.strategy === 'incremental_with_unreachable') await packLooseObjects(repository, signal);
  else await repackByPlan(repository, plan, signal);
  // Their processes keep the removed packs open.
  repository.caches.release(repository);
}

async function repackByPlan(repository: Repository, plan: RepackPlan, signal: AbortSignal): Promise<void> {
  // Recorded before the repack, so that a failing repack is not repeated all the time.
  if (plan.strategy !== 'geometric') await touchTimestamp(repository);
  const command = gitCommand('repack', {
    options: [...optionsOf(plan), ...(plan.writeMultiPackIndex ? [flag('--write-midx')] : [])],
  });
  const config = repackConfig(repository, plan.writeBitmap);
  await runRepack(repository, command, { config, signal }).catch(withExitCode('repack'));
}

function optionsOf({ strategy, expireBeforeMs }: RepackPlan): GitOption[] {
  switch (strategy) {
    case 'full_with_cruft':
      return [
        ...['--cruft', '--pack-kept-objects', '-l', '-d'].map(flag),
        ...(expireBeforeMs === undefined ? [] : [value('--cruft-expiration', gitTime(expireBeforeMs))]),
      ];
    case 'full_with_unreachable':
      return ['-a', '-l', '-d', '--keep-unreachable'].map(flag);
    default:
      return [value('--geometric', GEOMETRIC_FACTOR), flag('-d'), flag('-l')];
  }
}

/** Packs loose objects, reachable or not; `git repack` has no option for that. */
async function packLooseObjects(repository: Repository, signal: AbortSignal): Promise<void> {
  const options = ['--pack-loose-unreachable', '--local', '--incremental', '--non-empty', '--quiet'];
  const pack = gitCommand('pack-objects', {
    options: options.map(flag),
    args: [`${repository.path}/objects/pack/pack`],
  });
  await repository.run(pack, { signal }).catch(withExitCode('pack-objects'));
  const prune = gitCommand('prune-packed', { options: [flag('--quiet')] });
  await repository.run(prune, { signal }).catch(withExitCode('prune-packed'));
}

/**
 * Returns the settings of repacks. Objects of branches and tags get deltas only among themselves,
 * so that fetches need no objects of hidden references.
 */
export function repackConfig({ relativePath }: Repository, writeBitmap: boolean): ConfigPair[] {
  const [core, ...islands] = isPoolPath(relativePath)
    ? ['a', 'refs/remotes/origin/he(a)ds', 'refs/remotes/origin/t(a)gs']
    : ['e', 'r(e)fs/heads', 'r(e)fs/tags'];
  return [
    { key: 'repack.useDeltaIslands', value: 'true' },
    { key: 'repack.writeBitmaps', value: String(writeBitmap) },
    { key: 'pack.writeBitmapLookupTable', value: 'true' },
    ...islands.map((island) => ({ key: 'pack.island', value: island })),
    { key: 'pack.islandCore', value: core ?? '' },
  ];
}

async function touchTimestamp({ path }: Repository): Promise<void> {
  const file = `${path}/${FULL_REPACK_TIMESTAMP}`;
  await (await open(file, 'a', 0o600)).close();
  const now = new Date();
  await utimes(file, now, now);
}

/**
 * Returns a function that rethrows the failure of a command as `<name> failed with error code N`.
 */
function withExitCode(name: string): (error: unknown) => never {
  return (error) => {
    if (!(error instanceof GitExitError) || error.exitCode === undefined) throw error;
    throw new GitalyError('INTERNAL', `${name} failed with error code ${error.exitCode}`, {
      cause: error,
      metadata: { stderr: error.stderr },
    });
  };
}
