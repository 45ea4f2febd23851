import { codeOf, wrap } from '#base/gitaly-error';
import { objectKey } from '#object-store/object-key';
import type { ObjectStore } from '#object-store/object-store';
import { putUnlessEmpty } from '#object-store/pieces';
import { EmptyBundleError } from '../bundle/create-bundle.ts';
import type { BackupSource } from './backup-source.ts';
import type { CreateBackupOptions } from './create-backup.ts';
import type { BackupStep } from './manifest.ts';
import { findPointed, LATEST, numberedStep, olderPath } from './older-layouts.ts';
import { revisionsOf } from './store-references.ts';

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
 * not stored.
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
      await putUnlessEmpty(bucket, key, once(content), { signal });
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
  if (latest === undefined) {
    const folder = objectKey(path, id);
    return { folder, number: 1, step: numberedStep(folder, 1) };
  }
  const number = latest.steps.length + 1;
  return { folder: latest.folder, number, step: numberedStep(latest.folder, number) };
}

async function store(
  bucket: ObjectStore,
  source: BackupSource,
  { step, signal }: NextStep & { readonly signal: AbortSignal },
): Promise<PointerOutcome> {
  const { previousRefPath } = step;
  try {
    if ((await putUnlessEmpty(bucket, step.refPath, source.referenceLines(), { signal })) === 0)
      return 'empty';
    const revisions = previousRefPath === undefined ? undefined : await revisionsOf(step, { bucket, signal });
    await putUnlessEmpty(bucket, step.bundlePath, source.bundle(revisions), { signal });
  } catch (error) {
    if (codeOf(error) === 'NOT_FOUND') return 'empty';
    if (error instanceof EmptyBundleError) return 'unchanged';
    throw error;
  }
  await putUnlessEmpty(bucket, step.customHooksPath, source.customHooks(), { signal });
  return 'stored';
}

async function* once(content: string): AsyncGenerator<Buffer> {
  yield Buffer.from(content);
}
