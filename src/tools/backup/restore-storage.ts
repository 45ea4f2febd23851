import type { Connection } from '#client/index';
import type { BackupManifest } from '#domain/backup/manifest';
import { findManifest } from '#domain/backup/manifests';
import { readObject } from '#domain/backup/read-object';
import { readReferenceLines } from '#domain/backup/reference-lines';
import type { ObjectStore } from '#object-store/object-store';
import { OWN_DIRECTORY } from '#storage/storage-layout';
import { BackupCalls } from './backup-calls.ts';
import type { StoredBackup } from './catalog.ts';
import type { BackupJob } from './job.ts';
import { SkippedError } from './operator.ts';
import { Pipeline, type PipelineListener } from './pipeline.ts';
import { restoreRemote } from './restore-remote.ts';

export interface RestoreStorageOptions {
  readonly connection: Connection;
  readonly store: ObjectStore;
  /** Backups of repositories of one storage, one for each. */
  readonly backups: readonly StoredBackup[];
  /** Storage that receives the repositories. */
  readonly storageName: string;
  /** Changes repositories that exist with other references. Without it, they fail. */
  readonly replace: boolean;
  /** Repositories at a time. */
  readonly parallel: number;
  readonly listener: PipelineListener;
  readonly signal: AbortSignal;
}

/**
 * Restores the backups of repositories into a storage. A restore that was interrupted can be
 * repeated: repositories that exist fail only if they differ from the backup.
 */
export async function restoreStorage(options: RestoreStorageOptions): Promise<void> {
  const { backups, listener, parallel, storageName, signal } = options;
  const byPath = new Map(backups.map((backup) => [backup.relativePath, backup]));
  const run = async ({ relativePath }: BackupJob): Promise<void> => {
    const backup = byPath.get(relativePath);
    if (backup !== undefined) await restoreBackup(backup, options);
  };
  const pipeline = new Pipeline({ listener, parallel, parallelStorage: 0, run, signal });
  const server = { address: '', token: '' };
  try {
    for (const relativePath of byPath.keys())
      await pipeline.handle({ server, storageName, relativePath, glProjectPath: '' });
  } finally {
    await pipeline.end();
  }
  signal.throwIfAborted();
}

async function restoreBackup(backup: StoredBackup, options: RestoreStorageOptions): Promise<void> {
  const { connection, store, storageName, replace, signal } = options;
  const { relativePath, id } = backup;
  // No server puts them into a backup; it would remove them again as temporary files.
  if (relativePath.split('/')[0] === OWN_DIRECTORY)
    throw new Error(`${OWN_DIRECTORY} is a directory of the server's own, and has no repositories`);
  const target = { storageName, relativePath, glProjectPath: '' };
  const repository = new BackupCalls(connection, target, signal);
  const manifest = await findManifest(store, backup, id, { signal });
  if (manifest.nonExistent) throw new SkippedError('there was no repository');
  if (!replace && (await repository.exists()) && !(await hasBackedUp(store, repository, manifest, signal)))
    throw new Error('the repository exists and differs from the backup: add --replace to change it');
  let leftOut = 0;
  await restoreRemote(store, repository, manifest, {
    onBundles: () => {},
    onSkipped: (references) => {
      leftOut += references;
    },
    signal,
  });
  if (leftOut > 0)
    throw new Error(
      `restored without ${leftOut} references, whose objects are not in the backup: restore an older one`,
    );
}

/** Reports whether a repository has HEAD and the references of a backup, and no others. */
async function hasBackedUp(
  store: ObjectStore,
  repository: BackupCalls,
  { empty, headReference, steps }: BackupManifest,
  signal: AbortSignal,
): Promise<boolean> {
  if (headReference !== '' && headReference !== (await repository.headReference())) return false;
  const refPath = empty ? undefined : steps.at(-1)?.refPath;
  const references =
    refPath === undefined ? [] : await readReferenceLines(readObject(store, refPath, { signal }));
  return await repository.hasReferences(references);
}
