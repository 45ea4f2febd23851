import { readdir, readFile, unlink } from 'node:fs/promises';
import { ignoreMissing } from '#base/files/ignore-missing';
import { updateReference } from '#domain/ref-update/update-reference';
import { cleanWorktrees } from '#domain/worktrees/clean-worktrees';
import { flag, gitCommand } from '#git/command/git-command';
import { objectIdProblem } from '#git/names/object-id';
import { isPoolPath } from '#storage/pool-path';
import type { Repository } from '#storage/repository';
import { repackConfig } from '../commands/repack.ts';
import type { Housekeeping } from '../housekeeping.ts';
import { updateCommitGraph } from './update-commit-graph.ts';

export interface CollectGarbageOptions {
  readonly writeBitmap: boolean;
  /** Also drops unreachable objects that are older than half an hour; otherwise git decides. */
  readonly prune: boolean;
  /** Receives the reason why stale data were not removed. */
  readonly onStaleDataLeft: (error: unknown) => void;
  readonly signal: AbortSignal;
}

/**
 * Runs `git gc` and everything around it that GarbageCollect of 15.0 does. A pool keeps all its
 * objects.
 */
export async function collectGarbage(
  housekeeping: Housekeeping,
  repository: Repository,
  { writeBitmap, prune, onStaleDataLeft, signal }: CollectGarbageOptions,
): Promise<void> {
  await cleanWorktrees(repository, { signal });
  await mendKeepAroundReferences(repository, signal);
  await housekeeping.cleanStaleData(repository, { signal }).catch(onStaleDataLeft);

  const options = isPoolPath(repository.relativePath)
    ? [flag('--no-prune')]
    : prune
      ? [flag('--prune=30.minutes.ago')]
      : [];
  const config = [
    ...repackConfig(repository, writeBitmap),
    // It is written below, with filters.
    { key: 'gc.writeCommitGraph', value: 'false' },
  ];
  await repository.run(gitCommand('gc', { options }), { config, signal });
  repository.caches.release(repository);
  await updateCommitGraph(repository, signal);
}

/**
 * Mends references below `refs/keep-around` that a crash left empty or that name a missing object:
 * each is named by the object that it keeps.
 */
export async function mendKeepAroundReferences(repository: Repository, signal: AbortSignal): Promise<void> {
  const directory = `${repository.path}/refs/keep-around`;
  const entries = (await readdir(directory, { withFileTypes: true }).catch(ignoreMissing)) ?? [];
  for (const entry of entries) {
    signal.throwIfAborted();
    const { name } = entry;
    if (!entry.isFile() || !isObjectId(repository, name)) continue;
    const value = (await readFile(`${directory}/${name}`, 'latin1').catch(ignoreMissing))?.trim();
    if (value === undefined || (await exists(repository, value, signal))) continue;
    await unlink(`${directory}/${name}`).catch(ignoreMissing);
    if (await exists(repository, name, signal)) {
      const change = { newOid: name };
      await updateReference(repository, `refs/keep-around/${name}`, change, { hooks: undefined, signal });
    }
  }
}

async function exists(repository: Repository, oid: string, signal: AbortSignal): Promise<boolean> {
  return (
    isObjectId(repository, oid) && (await repository.objects.info(Buffer.from(oid), { signal })) !== undefined
  );
}

function isObjectId({ objectFormat }: Repository, text: string): boolean {
  return objectIdProblem(Buffer.from(text), objectFormat) === undefined;
}
