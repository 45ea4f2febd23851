import { createHash } from 'node:crypto';
import { codeOf, wrap } from '#base/gitaly-error';
import { objectKey } from '#object-store/object-key';
import type { ObjectCall, ObjectStore } from '#object-store/object-store';
import { putUnlessEmpty } from '#object-store/pieces';
import { EmptyBundleError } from '../bundle/create-bundle.ts';
import type { BackupSource } from './backup-source.ts';
import type { BackupManifest, BackupStep } from './manifest.ts';
import { type BackupName, findLatestManifest, findManifest, isMissing, writeManifest } from './manifests.ts';
import { readReferenceLines } from './reference-lines.ts';

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
 * @throws {GitalyError} `manager: …`
 */
export async function createBackup(
  bucket: ObjectStore,
  source: BackupSource,
  options: CreateBackupOptions,
): Promise<void> {
  try {
    const manifest = await begin(bucket, options);
    const objectFormat = await formatOrNone(source);
    const complete =
      objectFormat === undefined
        ? manifest
        : await store(bucket, source, { ...manifest, objectFormat }, options);
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

/** @returns `undefined` if there is no repository. */
async function formatOrNone(source: BackupSource): Promise<string | undefined> {
  try {
    return await source.objectFormat();
  } catch (error) {
    if (codeOf(error) === 'NOT_FOUND') return undefined;
    throw error;
  }
}

async function store(
  bucket: ObjectStore,
  source: BackupSource,
  manifest: BackupManifest,
  { observer, signal }: CreateBackupOptions,
): Promise<BackupManifest> {
  const step = manifest.steps.at(-1);
  if (step === undefined) return manifest;
  const timed = async <T>(phase: Parameters<BackupObserver['observePhase']>[0], work: () => Promise<T>) => {
    const start = performance.now();
    const result = await work();
    observer.observePhase(phase, (performance.now() - start) / 1000);
    return result;
  };

  const headReference = await source.headReference();
  const references = await timed('refs', () => storeReferences(bucket, step, source, signal));
  const hasReferences = references !== undefined;
  if (hasReferences) {
    const { objectFormat } = manifest;
    const deps = { bucket, source, references, objectFormat, signal };
    observer.observeBundle(await timed('bundle', () => storeBundle(step, deps)));
  }
  await timed('custom_hooks', () =>
    putUnlessEmpty(bucket, step.customHooksPath, source.customHooks(), { signal }),
  );
  return { ...manifest, empty: !hasReferences, nonExistent: false, headReference };
}

/** @returns the SHA-256 of the list; `undefined` if there are no references. */
async function storeReferences(
  bucket: ObjectStore,
  step: BackupStep,
  source: BackupSource,
  signal: AbortSignal,
): Promise<string | undefined> {
  const hash = createHash('sha256');
  let hasReferences = false;
  await bucket.put(
    step.refPath,
    (async function* () {
      for await (const lines of source.referenceLines()) {
        hasReferences = true;
        hash.update(lines);
        yield lines;
      }
    })(),
    { signal },
  );
  return hasReferences ? hash.digest('hex') : undefined;
}

interface BundleDependencies {
  readonly bucket: ObjectStore;
  readonly source: BackupSource;
  /** SHA-256 of the list of references. */
  readonly references: string;
  readonly objectFormat: string;
  readonly signal: AbortSignal;
}

/** Stores what is new since the previous references. @returns the size in bytes. */
async function storeBundle(step: BackupStep, deps: BundleDependencies): Promise<number> {
  const { bucket, signal } = deps;
  try {
    return await putUnlessEmpty(bucket, step.bundlePath, await newObjects(step, deps), { signal });
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

/**
 * Returns a bundle of what is new since the previous references. If they are the same, nothing is
 * new, and no git is started.
 */
async function newObjects(
  { previousRefPath }: BackupStep,
  { bucket, source, references, objectFormat, signal }: BundleDependencies,
): Promise<AsyncIterable<Buffer>> {
  if (previousRefPath === undefined) return orHeader(source.bundle());
  const previous = createHash('sha256');
  for await (const piece of bucket.get(previousRefPath, { signal })) previous.update(piece);
  if (previous.digest('hex') === references) return headerOf(objectFormat);
  return orHeader(source.bundle(await newSince(bucket, previousRefPath, { signal })));
}

/** Yields the header that git writes before it refuses an empty bundle. */
async function* headerOf(objectFormat: string): AsyncGenerator<Buffer> {
  const isSha1 = objectFormat === 'sha1';
  yield Buffer.from(isSha1 ? '# v2 git bundle\n\n' : `# v3 git bundle\n@object-format=${objectFormat}\n\n`);
}

/** Returns the revisions of all references without what the older ones lead to. */
export async function newSince(
  bucket: ObjectStore,
  previousRefPath: string,
  options: ObjectCall,
): Promise<Buffer[]> {
  const previous = await readReferenceLines(bucket.get(previousRefPath, options));
  return [Buffer.from('--all'), ...previous.map(({ oid }) => Buffer.from(`^${oid}`))];
}
