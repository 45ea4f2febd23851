import { LoopSlice } from '#base/async/loop-turns';
import { wrapped } from '#base/gitaly-error';
import { quote } from '#base/go/quote';
import { GitExitError } from '#git/command/process/exit-error';
import { RefUpdateError } from '#git/refs/update/ref-update-error';
import type { ObjectCall, ObjectStore } from '#object-store/object-store';
import type { Vote } from '#storage/lifecycle/voter';
import type { Repository } from '#storage/repository';
import { fetchBundle } from '../bundle/fetch-bundle.ts';
import { hasNoReferences } from '../bundle/fill-from-bundle.ts';
import { setHooks, tryHooks } from '../custom-hooks/set-hooks.ts';
import { setDefaultBranch } from '../ref-update/set-default-branch.ts';
import type { TransactionHooks } from '../transactions/transaction-hooks.ts';
import type { BackupManifest, BackupStep } from './manifest.ts';
import { ReferenceNames, unusedNames } from './name-conflicts.ts';
import { readObject, requireObject } from './read-object.ts';
import { type BackedUpReference, readReferenceLines } from './reference-lines.ts';
import { applyChanges, compareReferences } from './reset-references.ts';
import { StagedRepository } from './staged-repository.ts';

const FETCHING = 'local repository: fetch bundle: fetch bundle';
const FROM_BUNDLE = 'restore from bundle';
/** The backup lacks objects of its list of references. */
export const NO_OBJECTS =
  'the bundles have no object of the references in the backup: they are those of another repository';

export interface RestoreContentsOptions {
  /** Notified of the number of references that are left out because their objects are missing. */
  readonly onSkipped: (references: number) => void;
  readonly hooks: TransactionHooks | undefined;
  readonly vote: Vote | undefined;
  readonly signal: AbortSignal;
}

/** Restores objects, references, HEAD and custom hooks of a backup in a repository that is new. */
export async function fillRepository(
  draft: Repository,
  bucket: ObjectStore,
  manifest: BackupManifest,
  options: RestoreContentsOptions,
): Promise<void> {
  if (!manifest.empty) {
    const references = await referencesOf(bucket, manifest, options);
    await fetchSteps(draft, bucket, manifest, options);
    await requireAnyObject(draft, references);
    await setWhereObjectsExist(draft, references, options);
    await restoreHead(draft, manifest.headReference, options);
  }
  await restoreHooks(draft, bucket, manifest, options);
}

/**
 * Makes the contents of an existing repository those of a backup. All bundles and hooks are read
 * before the first change, so that a damaged backup changes nothing.
 */
export async function replaceContents(
  repository: Repository,
  bucket: ObjectStore,
  manifest: BackupManifest,
  options: RestoreContentsOptions,
): Promise<void> {
  const references = await referencesOf(bucket, manifest, options);
  await requireHooks(repository, bucket, manifest, options);
  const changes = await compareReferences(repository, references, options.signal);
  let { headReference } = manifest;
  if (!(await isApplied(applyChanges(repository, changes, options)))) {
    await using staged = await StagedRepository.create(repository, options);
    await fetchSteps(staged.repository, bucket, manifest, { ...options, hooks: undefined, vote: undefined });
    await requireAnyObject(staged.repository, references);
    if (headReference === '') headReference = await staged.changedHead(options.signal);
    await staged.migrate();
    await setWhereObjectsExist(repository, references, options);
  }
  await restoreHead(repository, headReference, options);
  await restoreHooks(repository, bucket, manifest, options);
}

/** Checks that the hooks of a backup, if it has some, can be restored. */
async function requireHooks(
  repository: Repository,
  bucket: ObjectStore,
  manifest: BackupManifest,
  { signal }: Pick<RestoreContentsOptions, 'signal'>,
): Promise<void> {
  await withHooks(bucket, manifest, { signal }, (archive) => tryHooks(repository, archive, { signal }));
}

async function restoreHooks(
  repository: Repository,
  bucket: ObjectStore,
  manifest: BackupManifest,
  options: RestoreContentsOptions,
): Promise<void> {
  await withHooks(bucket, manifest, options, (archive) => setHooks(repository, archive, options));
}

/**
 * A backup of a repository without hooks has no archive; as in Gitaly, existing hooks are then
 * kept.
 */
async function withHooks(
  bucket: ObjectStore,
  { steps }: BackupManifest,
  { signal }: ObjectCall,
  use: (archive: AsyncIterable<Uint8Array>) => Promise<void>,
): Promise<void> {
  const key = steps.at(-1)?.customHooksPath;
  if (key === undefined || (await bucket.head(key, { signal })) === undefined) return;
  await use(bucket.get(key, { signal })).catch(wrapped(`restore custom hooks, ${quote(key)}`));
}

/** Returns the references of the newest step. */
async function referencesOf(
  bucket: ObjectStore,
  { steps }: BackupManifest,
  options: ObjectCall,
): Promise<BackedUpReference[]> {
  const step = steps.at(-1);
  const references = step === undefined ? [] : await readReferences(bucket, step, options);
  if (references.length === 0) throw new Error('no refs in backup');
  return references;
}

async function readReferences(
  bucket: ObjectStore,
  { refPath }: BackupStep,
  { signal }: ObjectCall,
): Promise<BackedUpReference[]> {
  return await readReferenceLines(readObject(bucket, refPath, { signal })).catch(
    wrapped(`${FROM_BUNDLE}: read refs: read refs`),
  );
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

/** Fetches the bundles of all steps into a draft. A missing one is an error: without it the data is older. */
async function fetchSteps(
  draft: Repository,
  bucket: ObjectStore,
  manifest: BackupManifest,
  options: RestoreContentsOptions,
): Promise<void> {
  const { signal } = options;
  const updateHead = manifest.headReference === '';
  for (const step of manifest.steps) {
    const { bundlePath } = step;
    // A repository without references has no bundle.
    if ((await readReferences(bucket, step, options)).length === 0) continue;
    await requireObject(bucket, bundlePath, { signal }).catch(
      wrapped(`${FROM_BUNDLE}: restore bundle: get reader: ${quote(bundlePath)}`),
    );
    await fetchBundle(draft, readObject(bucket, bundlePath, { signal }), {
      ...options,
      updateHead,
      isDraft: true,
      onReferences: (references) => moveAside(draft, references, options),
    }).catch(wrapped(`${FROM_BUNDLE}: restore bundle: fetch bundle: ${quote(bundlePath)}: ${FETCHING}`));
  }
}

/**
 * Renames references of a draft because of which git would refuse those of a bundle: `a`, if it
 * has `a/b`. The bundle may need their objects, and git looks for these below references.
 */
async function moveAside(
  draft: Repository,
  added: AsyncIterable<readonly { readonly name: Buffer }[]>,
  options: Pick<RestoreContentsOptions, 'hooks' | 'signal'>,
): Promise<void> {
  const { signal } = options;
  if (await hasNoReferences(draft, signal)) return;
  const slice = new LoopSlice();
  const names = new ReferenceNames();
  for await (const batch of added)
    for (const { name } of batch) {
      await slice.pause(signal);
      names.add(name);
    }
  const unused = unusedNames();
  const removed: Buffer[] = [];
  const changed: BackedUpReference[] = [];
  for await (const batch of draft.refs.list({ patterns: [Buffer.from('refs/')] }, { signal }))
    for (const { name, oid } of batch) {
      await slice.pause(signal);
      if (!names.conflictWith(name)) continue;
      removed.push(name);
      changed.push({ name: unused(), oid });
    }
  await applyChanges(draft, { removed, changed }, options);
}

/** @throws {Error} if no reference has its object: the bundles are those of another repository. */
async function requireAnyObject(
  repository: Repository,
  references: readonly BackedUpReference[],
): Promise<void> {
  for (const { oid } of references) if ((await repository.objects.info(oid)) !== undefined) return;
  throw new Error(NO_OBJECTS);
}

/**
 * Makes the references those of a backup, without those whose objects are missing: the list is
 * written before the bundle, so that a reference can have gone in between. A reference that the
 * bundle has at another object does not stay.
 */
async function setWhereObjectsExist(
  repository: Repository,
  references: readonly BackedUpReference[],
  options: RestoreContentsOptions,
): Promise<void> {
  const { removed, changed } = await compareReferences(repository, references, options.signal);
  await applyChanges(repository, { removed, changed: [] }, options);
  if (await isApplied(applyChanges(repository, { removed: [], changed }, options))) return;
  const missing = new Set<BackedUpReference>();
  for (const reference of changed)
    if ((await repository.objects.info(reference.oid)) === undefined) missing.add(reference);
  options.onSkipped(missing.size);
  const present = references.filter((reference) => !missing.has(reference));
  const left = await compareReferences(repository, present, options.signal);
  await applyChanges(repository, { removed: left.removed, changed: [] }, options);
  await applyChanges(repository, { removed: [], changed: left.changed }, options);
}

async function restoreHead(
  repository: Repository,
  headReference: string,
  options: RestoreContentsOptions,
): Promise<void> {
  if (headReference === '') return;
  const target = Buffer.from(headReference);
  const current = await repository.refs.headTarget(options).catch(() => undefined);
  if (current?.equals(target) === true) return;
  await setDefaultBranch(repository, target, options).catch(wrapped('set head reference'));
}
