import { wrap } from '#base/gitaly-error';
import { GitExitError } from '#git/command/exit-error';
import { RefUpdateError } from '#git/refs/update/ref-update-error';
import type { Vote } from '#storage/lifecycle/voter';
import type { Repository } from '#storage/repository';
import type { Bucket } from '../bucket/bucket.ts';
import { fetchBundle } from '../bundle/fetch-bundle.ts';
import { setHooks } from '../custom-hooks/set-hooks.ts';
import { setDefaultBranch } from '../ref-update/set-default-branch.ts';
import type { TransactionHooks } from '../transactions/transaction-hooks.ts';
import type { BackupManifest, BackupStep } from './manifest.ts';
import { type BackedUpReference, readReferenceLines } from './reference-lines.ts';
import { applyChanges, compareReferences } from './reset-references.ts';

export interface RestoreContentsOptions {
  /** Notified of the number of references that are left out because their objects are missing. */
  readonly onSkipped: (references: number) => void;
  readonly hooks: TransactionHooks | undefined;
  readonly vote: Vote | undefined;
  readonly signal: AbortSignal;
}

/** Restores objects, references, HEAD and custom hooks of a backup in a repository that exists. */
export async function restoreContents(
  repository: Repository,
  bucket: Bucket,
  manifest: BackupManifest,
  options: RestoreContentsOptions,
): Promise<void> {
  const last = manifest.steps.at(-1);
  if (last === undefined) return;
  if (!manifest.empty) await restoreReferences(repository, bucket, manifest, options);
  if (!(await bucket.exists(last.customHooksPath))) return;
  await setHooks(repository, bucket.read(last.customHooksPath), options).catch((error: unknown) => {
    throw wrap(error, 'restore custom hooks');
  });
}

/** Sets the references at once if all objects are there, otherwise after fetching the bundles. */
async function restoreReferences(
  repository: Repository,
  bucket: Bucket,
  manifest: BackupManifest,
  options: RestoreContentsOptions,
): Promise<void> {
  const references = await referencesOf(bucket, manifest.steps.at(-1));
  if (references.length === 0) throw new Error('no refs in backup');
  const changes = await compareReferences(repository, references, options.signal);
  if (!(await isApplied(applyChanges(repository, changes, options)))) {
    for (const step of manifest.steps) await fetchStep(repository, bucket, step, manifest, options);
    await setWhereObjectsExist(repository, references, options);
  }
  await restoreHead(repository, manifest, options);
}

async function referencesOf(bucket: Bucket, step: BackupStep | undefined): Promise<BackedUpReference[]> {
  try {
    return step === undefined ? [] : await readReferenceLines(bucket.read(step.refPath));
  } catch (error) {
    throw wrap(error, 'read refs');
  }
}

/** Waits for a change of references. @returns false if git refused it. */
async function isApplied(change: Promise<void>): Promise<boolean> {
  try {
    await change;
    return true;
  } catch (error) {
    if (error instanceof RefUpdateError || error instanceof GitExitError) return false;
    throw error;
  }
}

async function fetchStep(
  repository: Repository,
  bucket: Bucket,
  { bundlePath, refPath, previousRefPath }: BackupStep,
  { headReference }: BackupManifest,
  options: RestoreContentsOptions,
): Promise<void> {
  // A step in which nothing was new, or no reference was left, has no bundle.
  if (!(await bucket.exists(bundlePath))) {
    if (previousRefPath !== undefined || (await isEmpty(bucket, refPath))) return;
  }
  const updateHead = headReference === '';
  await fetchBundle(repository, bucket.read(bundlePath), { ...options, updateHead }).catch(
    (error: unknown) => {
      throw wrap(error, `restore from bundle: restore bundle: fetch bundle: ${JSON.stringify(bundlePath)}`);
    },
  );
}

async function isEmpty(bucket: Bucket, key: string): Promise<boolean> {
  for await (const piece of bucket.read(key)) if (piece.length > 0) return false;
  return true;
}

/**
 * Sets the references whose objects exist: the list is written before the bundle, so that a
 * reference can have gone in between.
 */
async function setWhereObjectsExist(
  repository: Repository,
  references: readonly BackedUpReference[],
  options: RestoreContentsOptions,
): Promise<void> {
  const { removed, changed } = await compareReferences(repository, references, options.signal);
  await applyChanges(repository, { removed, changed: [] }, options);
  if (await isApplied(applyChanges(repository, { removed: [], changed }, options))) return;
  const present: BackedUpReference[] = [];
  for (const reference of changed)
    if ((await repository.objects.info(reference.oid)) !== undefined) present.push(reference);
  options.onSkipped(changed.length - present.length);
  await applyChanges(repository, { removed: [], changed: present }, options);
}

async function restoreHead(
  repository: Repository,
  { headReference }: BackupManifest,
  options: RestoreContentsOptions,
): Promise<void> {
  if (headReference === '') return;
  const target = Buffer.from(headReference);
  const current = await repository.refs.headTarget(options).catch(() => undefined);
  if (current?.equals(target) === true) return;
  await setDefaultBranch(repository, target, options).catch((error: unknown) => {
    throw wrap(error, 'set head reference');
  });
}
