import { codeOf, wrap } from '#base/gitaly-error';
import { GitExitError } from '#git/command/exit-error';
import { objectKey } from '#object-store/object-key';
import type { ObjectCall, ObjectStore } from '#object-store/object-store';
import { putUnlessEmpty } from '#object-store/pieces';
import { archiveTree } from '#storage/archive/archive-tree';
import type { Repository } from '#storage/repository';
import { bundleOf, bundleOfAll, EmptyBundleError } from '../bundle/create-bundle.ts';
import { HOOKS_NAME } from '../custom-hooks/set-hooks.ts';
import type { BackupManifest, BackupStep } from './manifest.ts';
import { type BackupName, findLatestManifest, findManifest, isMissing, writeManifest } from './manifests.ts';
import { readReferenceLines, referenceLines } from './reference-lines.ts';

/** Sees how long the parts of a backup take. */
export interface BackupObserver {
  observePhase(phase: 'refs' | 'bundle' | 'custom_hooks', seconds: number): void;
  observeBundle(bytes: number): void;
}

export interface CreateBackupOptions {
  readonly name: BackupName;
  readonly id: string;
  /** Stores only what is new since the newest backup, if there is one. */
  readonly incremental: boolean;
  /** Backup on which an incremental one is based; empty for the newest. */
  readonly latestId: string;
  readonly observer: BackupObserver;
  readonly signal: AbortSignal;
}

/**
 * Stores a backup of a repository: references, a bundle, custom hooks, at last the manifest. The
 * backup of a repository that does not exist records this.
 *
 * @param open throws NOT_FOUND for a repository that does not exist.
 * @throws {GitalyError} `manager: …`
 */
export async function createBackup(
  bucket: ObjectStore,
  open: () => Repository,
  options: CreateBackupOptions,
): Promise<void> {
  try {
    const manifest = await begin(bucket, options);
    const complete = await store(bucket, openOrNone(open), manifest, options);
    await writeManifest(bucket, options.name, options.id, complete, options);
  } catch (error) {
    throw wrap(error, 'manager');
  }
}

const NOTHING = { empty: true, nonExistent: true, objectFormat: '', headReference: '' } as const;

/** Returns the manifest with the step to be stored. */
async function begin(bucket: ObjectStore, options: CreateBackupOptions): Promise<BackupManifest> {
  const base = options.incremental ? await findBase(bucket, options) : undefined;
  // A backup of a repository that did not exist has no files on which another could be based.
  const steps = base === undefined || base.nonExistent ? [] : base.steps;
  return { ...NOTHING, steps: [...steps, newStep(options, steps.length + 1, steps.at(-1))] };
}

async function findBase(
  bucket: ObjectStore,
  { name, latestId, signal }: CreateBackupOptions,
): Promise<BackupManifest | undefined> {
  try {
    if (latestId !== '') return await findManifest(bucket, name, latestId, { signal });
  } catch (error) {
    if (!isMissing(error)) throw wrap(error, 'manifest: begin incremental');
  }
  try {
    return await findLatestManifest(bucket, name, { signal });
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw wrap(error, 'manifest: begin incremental');
  }
}

function newStep({ name, id }: CreateBackupOptions, number: number, previous?: BackupStep): BackupStep {
  const key = (suffix: string): string =>
    objectKey(name.storageName, name.relativePath, id, `${String(number).padStart(3, '0')}.${suffix}`);
  return {
    bundlePath: key('bundle'),
    refPath: key('refs'),
    ...(previous !== undefined && { previousRefPath: previous.refPath }),
    customHooksPath: key('custom_hooks.tar'),
  };
}

function openOrNone(open: () => Repository): Repository | undefined {
  try {
    return open();
  } catch (error) {
    if (codeOf(error) === 'NOT_FOUND') return undefined;
    throw error;
  }
}

async function store(
  bucket: ObjectStore,
  repository: Repository | undefined,
  manifest: BackupManifest,
  { observer, signal }: CreateBackupOptions,
): Promise<BackupManifest> {
  const step = manifest.steps.at(-1);
  if (repository === undefined || step === undefined) return manifest;
  const timed = async <T>(phase: Parameters<BackupObserver['observePhase']>[0], work: () => Promise<T>) => {
    const start = performance.now();
    const result = await work();
    observer.observePhase(phase, (performance.now() - start) / 1000);
    return result;
  };

  const headReference = await headOf(repository, signal);
  const references = await timed('refs', () => storeReferences(bucket, step, repository, signal));
  if (references > 0)
    observer.observeBundle(await timed('bundle', () => storeBundle(bucket, step, repository, signal)));
  await timed('custom_hooks', () =>
    putUnlessEmpty(
      bucket,
      step.customHooksPath,
      archiveTree(`${repository.path}/${HOOKS_NAME}`, { name: HOOKS_NAME, signal }),
      { signal },
    ),
  );
  const { objectFormat } = repository;
  return { empty: references === 0, nonExistent: false, objectFormat, headReference, steps: manifest.steps };
}

/** Returns the target of HEAD; an empty text if HEAD is detached. */
async function headOf(repository: Repository, signal: AbortSignal): Promise<string> {
  try {
    return (await repository.refs.headTarget({ signal })).toString();
  } catch (error) {
    if (error instanceof GitExitError) return '';
    throw error;
  }
}

/** @returns the number of references. */
async function storeReferences(
  bucket: ObjectStore,
  step: BackupStep,
  repository: Repository,
  signal: AbortSignal,
): Promise<number> {
  let count = 0;
  await bucket.put(
    step.refPath,
    (async function* () {
      for await (const lines of referenceLines(repository, signal)) {
        count++;
        yield lines;
      }
    })(),
    { signal },
  );
  return count;
}

/** @returns the size in bytes. */
async function storeBundle(
  bucket: ObjectStore,
  step: BackupStep,
  repository: Repository,
  signal: AbortSignal,
): Promise<number> {
  const pieces =
    step.previousRefPath === undefined
      ? bundleOfAll(repository, { signal })
      : bundleOf(repository, await newSince(bucket, step.previousRefPath, { signal }), { signal });
  try {
    return await putUnlessEmpty(bucket, step.bundlePath, orHeader(pieces), { signal });
  } catch (error) {
    throw wrap(error, 'write bundle');
  }
}

/**
 * Yields a bundle; if nothing is new, the header alone, which git writes before it refuses. Gitaly
 * stores it, and requires it of every step that it restores.
 */
async function* orHeader(pieces: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  try {
    yield* pieces;
  } catch (error) {
    if (!(error instanceof EmptyBundleError)) throw error;
  }
}

/** Returns the revisions of all references without what the older ones lead to. */
async function newSince(
  bucket: ObjectStore,
  previousRefPath: string,
  options: ObjectCall,
): Promise<Buffer[]> {
  const previous = await readReferenceLines(bucket.get(previousRefPath, options));
  return [Buffer.from('--all'), ...previous.map(({ oid }) => Buffer.from(`^${oid}`))];
}
