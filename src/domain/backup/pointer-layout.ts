import { codeOf, wrap } from '#base/gitaly-error';
import { once } from '#base/streams/once';
import { objectKey } from '#object-store/object-key';
import type { ObjectStore } from '#object-store/object-store';
import { putUnlessEmpty } from '#object-store/pieces';
import { EmptyBundleError } from '../bundle/empty-bundle-error.ts';
import type { BackupSource } from './backup-source.ts';
import type { CreateBackupOptions } from './create-backup.ts';
import type { BackupStep } from './manifest.ts';
import { findPointed, LATEST, numberedStep, olderPath } from './older-layouts.ts';
import { selectionOf } from './store-references.ts';

/** The result of a backup: `empty` without references, `unchanged` without new objects. */
export type PointerOutcome = 'stored' | 'empty' | 'unchanged';

/** A step that is to be stored in a folder under a number. */
interface NextStep {
  readonly folder: string;
  readonly number: number;
  readonly step: BackupStep;
}

/**
 * Stores a backup of a repository with pointers instead of a manifest, as Gitaly 15 does. As there,
 * the name of an increment is that of its full backup, and references that were only removed are
 * not stored. A full backup whose name exists already is a further step with all objects; Gitaly
 * overwrites the first one, so that no backup is complete until the new one is.
 *
 * @throws {GitalyError} `manager: …`
 */
export async function createPointerBackup(
  bucket: ObjectStore,
  source: BackupSource,
  options: Pick<CreateBackupOptions, 'name' | 'id' | 'incremental' | 'signal'>,
): Promise<PointerOutcome> {
  const { signal } = options;
  try {
    const next = await begin(bucket, options);
    const outcome = await store(bucket, source, { ...next, signal });
    if (outcome !== 'stored') return outcome;
    const path = olderPath(options.name.relativePath);
    const number = String(next.number).padStart(3, '0');
    const id = next.folder.slice(path.length + 1);
    for (const [key, content] of [
      [objectKey(next.folder, LATEST), number],
      [objectKey(path, LATEST), id],
    ] as const)
      await putUnlessEmpty(bucket, key, once(Buffer.from(content)), { signal });
    return 'stored';
  } catch (error) {
    throw wrap(error, 'manager');
  }
}

async function begin(
  bucket: ObjectStore,
  { name, id, incremental, signal }: Pick<CreateBackupOptions, 'name' | 'id' | 'incremental' | 'signal'>,
): Promise<NextStep> {
  const path = olderPath(name.relativePath);
  const latest = incremental ? await findPointed(bucket, path, { signal }) : undefined;
  if (latest !== undefined) {
    const number = latest.steps.length + 1;
    return { folder: latest.folder, number, step: numberedStep(latest.folder, number) };
  }
  const folder = objectKey(path, id);
  const sameName = await findPointed(bucket, path, { signal }, id);
  const number = (sameName?.steps.length ?? 0) + 1;
  const { previousRefPath: _, ...step } = numberedStep(folder, number);
  return { folder, number, step };
}

async function store(
  bucket: ObjectStore,
  source: BackupSource,
  { step, signal }: NextStep & { readonly signal: AbortSignal },
): Promise<PointerOutcome> {
  try {
    const objectFormat = await source.objectFormat();
    if ((await putUnlessEmpty(bucket, step.refPath, source.referenceLines(), { signal })) === 0)
      return 'empty';
    const bundle = source.bundle(await selectionOf(step, { bucket, objectFormat, signal }));
    await putUnlessEmpty(bucket, step.bundlePath, bundle, { signal });
  } catch (error) {
    if (codeOf(error) === 'NOT_FOUND') return 'empty';
    if (error instanceof EmptyBundleError) return 'unchanged';
    throw error;
  }
  const hooksBytes = await putUnlessEmpty(bucket, step.customHooksPath, source.customHooks(), { signal });
  // A backup that was interrupted can have left hooks that are gone since.
  if (hooksBytes === 0) await bucket.delete([step.customHooksPath], { signal });
  return 'stored';
}
