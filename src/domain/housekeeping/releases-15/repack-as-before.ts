import { flag, gitCommand } from '#git/command/git-command';
import type { Repository } from '#storage/repository';
import { repackConfig } from '../commands/repack.ts';
import { runRepack } from '../commands/run-repack.ts';
import { updateCommitGraph } from './update-commit-graph.ts';

export interface OldRepackOptions {
  readonly kind: 'full' | 'incremental';
  readonly writeBitmap: boolean;
  readonly signal: AbortSignal;
}

const FLAGS: Readonly<Record<OldRepackOptions['kind'], readonly string[]>> = {
  // Unreachable objects become loose.
  full: ['-d', '-n', '-A', '--pack-kept-objects', '-l'],
  incremental: ['-d', '-n'],
};

/** Repacks as RepackFull and RepackIncremental of 15.0 do, and updates the commit-graph. */
export async function repackAsBefore(
  repository: Repository,
  { kind, writeBitmap, signal }: OldRepackOptions,
): Promise<void> {
  const command = gitCommand('repack', { options: FLAGS[kind].map(flag) });
  await runRepack(repository, command, { config: repackConfig(repository, writeBitmap), signal });
  repository.caches.release(repository);
  await updateCommitGraph(repository, signal);
}
