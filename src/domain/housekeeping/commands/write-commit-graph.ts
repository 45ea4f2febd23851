import { readdir, rm } from 'node:fs/promises';
import { GitalyError } from '#base/gitaly-error';
import { flag, gitCommand, value } from '#git/command/git-command';
import { GitExitError } from '#git/command/process/exit-error';
import type { Repository } from '#storage/repository';
import type { CommitGraphPlan } from '../plan.ts';

/** A layer is merged with the one below if that is less than this many times as large. */
const SIZE_MULTIPLE = 4;

/**
 * Writes the commit-graph, with the filters by which the history of a path is found.
 *
 * @throws {GitalyError} INTERNAL `writing commit-graph: exit status 128: …`.
 */
export async function writeCommitGraph(
  repository: Repository,
  { replaceChain }: CommitGraphPlan,
  signal: AbortSignal,
): Promise<void> {
  const command = gitCommand('commit-graph', {
    action: 'write',
    options: [
      flag('--reachable'),
      flag('--changed-paths'),
      value('--size-multiple', SIZE_MULTIPLE),
      flag(replaceChain ? '--split=replace' : '--split'),
    ],
  });
  await repository.run(command, { signal }).catch(async (error: unknown) => {
    await removeDrafts(repository);
    if (!(error instanceof GitExitError)) throw error;
    const message = `writing commit-graph: ${error.message}: ${error.stderr}`;
    throw new GitalyError('INTERNAL', message, { cause: error });
  });
}

/** Removes the commit-graph, without which git works, too. Layers that it had are left to git. */
export async function removeCommitGraph({ path }: Repository): Promise<void> {
  for (const name of ['commit-graphs/commit-graph-chain', 'commit-graph'])
    await rm(`${path}/objects/info/${name}`, { force: true });
}

/**
 * git leaves its draft behind when the disk is full. No other code writes one during maintenance.
 */
async function removeDrafts({ path }: Repository): Promise<void> {
  const directory = `${path}/objects/info/commit-graphs`;
  const names = await readdir(directory).catch((): string[] => []);
  for (const name of names)
    if (name.startsWith('tmp_graph_')) await rm(`${directory}/${name}`, { force: true });
}
