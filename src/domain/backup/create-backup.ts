import { insteadOf, wrap } from '#base/gitaly-error';
import { objectKey } from '#object-store/object-key';
import type { ObjectCall, ObjectStore } from '#object-store/object-store';
import { putUnlessEmpty } from '#object-store/pieces';
import type { BackupSource } from './backup-source.ts';
import type { BackupManifest, BackupStep } from './manifest.ts';
import {
  type BackupName,
  findLatestManifest,
  findManifest,
  isMissing,
  signsOf,
  writeManifest,
} from './manifests.ts';
import { type ChosenStep, chooseStep, filesOf } from './replaced-step.ts';
import { storeReferences } from './store-references.ts';

/** Sees how long the parts of a backup take. */
export interface BackupObserver {
  observePhase(phase: 'refs' | 'bundle' | 'custom_hooks', seconds: number): void;
  observeBundle(bytes: number): void;
}

export interface CreateBackupOptions {
  readonly name: BackupName;
  readonly id: string;
  /** Stores only the changes since the newest backup, if there is one. */
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
    const base = options.incremental ? await findBase(bucket, options) : undefined;
    const objectFormat = await source.objectFormat().catch(insteadOf('NOT_FOUND', undefined));
    const steps = base === undefined ? [] : stepsFor(base, objectFormat);
    const signs = await signsOf(bucket, options.name, { steps, empty: base?.empty === true }, options);
    const { obsolete, ...complete } =
      objectFormat === undefined
        ? { ...NOTHING, steps: [...steps, await unusedStep(bucket, options, steps)], obsolete: [] }
        : await store(bucket, source, { steps, objectFormat }, options);
    await writeManifest(bucket, options.name, options.id, complete, {
      signal: options.signal,
      isWhole: () => haveAll(bucket, signs, options),
    });
    if (obsolete.length > 0) await bucket.delete(obsolete, options);
  } catch (error) {
    throw wrap(error, 'manager');
  }
}

async function haveAll(
  bucket: ObjectStore,
  keys: readonly string[],
  { signal }: ObjectCall,
): Promise<boolean> {
  for (const key of keys) if ((await bucket.head(key, { signal })) === undefined) return false;
  return true;
}

const NOTHING = { empty: true, nonExistent: true, objectFormat: '', headReference: '' } as const;

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

/**
 * Returns the steps on which an increment is based. A backup of a repository that did not exist has
 * no files, and bundles of the other object format cannot be fetched into one repository with its
 * own.
 */
function stepsFor(base: BackupManifest, objectFormat: string | undefined): readonly BackupStep[] {
  const formats = new Set([base.objectFormat, objectFormat ?? '']);
  formats.delete('');
  return base.nonExistent || formats.size > 1 ? [] : base.steps;
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

/** Returns a step without files; an earlier backup of this name can have some. */
async function unusedStep(
  bucket: ObjectStore,
  options: CreateBackupOptions,
  steps: readonly BackupStep[],
): Promise<BackupStep> {
  for (let number = steps.length + 1; ; number++) {
    const step = newStep(options, number, steps.at(-1));
    if ((await bucket.head(step.refPath, options)) === undefined) return step;
  }
}

async function store(
  bucket: ObjectStore,
  source: BackupSource,
  { steps, objectFormat }: Pick<BackupManifest, 'steps' | 'objectFormat'>,
  options: CreateBackupOptions,
): Promise<BackupManifest & Pick<ChosenStep, 'obsolete'>> {
  const { observer, signal } = options;
  const timed = async <T>(phase: Parameters<BackupObserver['observePhase']>[0], work: () => Promise<T>) => {
    const start = performance.now();
    const result = await work();
    observer.observePhase(phase, (performance.now() - start) / 1000);
    return result;
  };

  const headReference = await source.headReference();
  const stepOf = (number: number): BackupStep => newStep(options, number, steps.at(-1));
  const chosen = await chooseStep(stepOf, steps.length + 1, { ...options, bucket, source });
  const { step, sameAs } = chosen;
  const onBundle = (bytes: number): void => observer.observeBundle(bytes);
  const deps = { bucket, source, objectFormat, sameAs, onBundle, timed, signal };
  const hasReferences = await storeReferences(step, deps);
  const hooksBytes = await timed('custom_hooks', () =>
    putUnlessEmpty(bucket, step.customHooksPath, source.customHooks(), { signal }),
  );
  if (chosen.mayExist && hooksBytes === 0) await bucket.delete([step.customHooksPath], { signal });
  const manifest = { empty: !hasReferences, nonExistent: false, objectFormat, headReference };
  const needed = new Set([...steps, step].flatMap(filesOf));
  const obsolete = chosen.obsolete.filter((key) => !needed.has(key));
  return { ...manifest, steps: [...steps, step], obsolete };
}
