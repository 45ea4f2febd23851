import { GitalyError, wrap, wrapped } from '#base/gitaly-error';
import { quote } from '#base/go/quote';
import type { ObjectStore } from '#object-store/object-store';
import { type CreateRepositoryOptions, createRepository } from '#storage/lifecycle/create-repository';
import { removeRepository } from '#storage/lifecycle/remove-repository';
import type { Vote } from '#storage/lifecycle/voter';
import { openOrNone } from '#storage/open-or-none';
import type { RepositoryTarget } from '#storage/repository-target';
import type { Storages } from '#storage/storages';
import type { BackupManifest } from './manifest.ts';
import { type BackupName, findLatestManifest, findManifest, hasAnyManifest, isMissing } from './manifests.ts';
import { fillRepository, type RestoreContentsOptions, replaceContents } from './restore-contents.ts';

export interface RestoreBackupOptions extends RestoreContentsOptions {
  readonly name: BackupName;
  /** Empty for the newest. */
  readonly id: string;
  /** Uses the newest backup if the repository has none with the id. */
  readonly useLatest: boolean;
}

const BRANCHES = 'refs/heads/';
const NO_BACKUPS =
  'manager: the bucket has no backups: check the prefix in [backup] go_cloud_url, or mount the directory';

/**
 * Restores the state of a repository at the time of a backup. A repository that does not exist
 * becomes visible when it is complete; an existing one keeps its objects. Without any backup, the
 * repository is removed, unless there is no backup of any other one: then the bucket is the wrong
 * one.
 *
 * @throws {GitalyError} INTERNAL `manager: …`, `manifest: find latest: doesn't
 *   exist`; FAILED_PRECONDITION if the bucket has no backups.
 */
export async function restoreBackup(
  bucket: ObjectStore,
  storages: Storages,
  target: RepositoryTarget,
  options: RestoreBackupOptions,
): Promise<void> {
  const manifest = await find(bucket, storages, target, options);
  try {
    if (manifest.steps.length === 0) throw new Error('no backup steps');
    if (manifest.nonExistent) return;
    const existing = openOrNone(storages, target);
    if (existing !== undefined && !manifest.empty)
      return await replaceContents(existing, bucket, manifest, {
        ...options,
        hooks: options.hooks,
      });
    const objectFormat = formatOf(manifest);
    await create(bucket, storages, target, manifest, {
      ...options,
      objectFormat,
      replaces: existing !== undefined,
    });
  } catch (error) {
    throw wrap(error, 'manager');
  }
}

async function find(
  bucket: ObjectStore,
  storages: Storages,
  target: RepositoryTarget,
  { name, id, useLatest, vote, signal }: RestoreBackupOptions,
): Promise<BackupManifest> {
  try {
    if (id !== '') return await findManifest(bucket, name, id, { signal });
  } catch (error) {
    if (!useLatest || !isMissing(error)) throw wrap(error, 'manager');
  }
  try {
    return await findLatestManifest(bucket, name, { signal });
  } catch (error) {
    if (!isMissing(error)) throw wrap(error, 'manager');
    if (!(await hasAnyManifest(bucket, { signal }))) throw new GitalyError('FAILED_PRECONDITION', NO_BACKUPS);
    await remove(storages, target, vote);
    throw error;
  }
}

async function remove(storages: Storages, target: RepositoryTarget, vote: Vote | undefined): Promise<void> {
  const repository = openOrNone(storages, target);
  if (repository === undefined) return;
  await removeRepository(storages, repository, { vote }).catch(wrapped('repository removed'));
}

function formatOf({ objectFormat, empty }: BackupManifest): 'sha1' | 'sha256' {
  if (objectFormat === 'sha1' || objectFormat === 'sha256') return objectFormat;
  const prefix = empty ? 'recreate empty repo: create empty repo' : 'restore from bundle: create empty repo';
  const message = `${prefix}: get object hash: unknown object format: ${quote(objectFormat)}`;
  throw new GitalyError('INTERNAL', message);
}

async function create(
  bucket: ObjectStore,
  storages: Storages,
  target: RepositoryTarget,
  manifest: BackupManifest,
  options: RestoreBackupOptions & Pick<CreateRepositoryOptions, 'objectFormat' | 'replaces'>,
): Promise<void> {
  const { headReference } = manifest;
  const { vote, onSkipped, objectFormat = 'sha1', replaces = false, signal } = options;
  await createRepository(storages, target, {
    replaces,
    vote,
    signal,
    objectFormat,
    ...(headReference.startsWith(BRANCHES) && {
      initialBranch: Buffer.from(headReference.slice(BRANCHES.length)),
    }),
    // The draft is voted on as a whole when it is published.
    seed: (draft) => {
      const ofDraft = { hooks: undefined, vote: undefined, onSkipped, signal };
      return fillRepository(draft, bucket, manifest, ofDraft);
    },
  });
}
