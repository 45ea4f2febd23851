import { messageOf } from '#base/gitaly-error';
import { eachConcurrently } from '#object-store/each-concurrently';
import type { ReferenceFormat, Repositories } from './repositories.ts';

/** Notified of each repository. */
export interface MigrationListener {
  /** @param outcome `needed` in a dry run. */
  onDone(name: string, outcome: 'migrated' | 'needed' | 'unchanged'): void;
  onFailed(name: string, reason: string): void;
}

export interface MigrateAllOptions {
  readonly format: ReferenceFormat;
  /** Number of repositories that are migrated concurrently. */
  readonly jobs: number;
  /** Only finds the repositories that have another format. */
  readonly isDryRun: boolean;
  readonly listener: MigrationListener;
}

/**
 * Changes the storage format of the references of repositories. Repositories that already have the
 * format are skipped, so that an interrupted run can be continued. A failure does not stop the
 * others.
 */
export async function migrateAll(
  repositories: Repositories,
  names: readonly string[],
  { format, jobs, isDryRun, listener }: MigrateAllOptions,
): Promise<void> {
  const migrate = async (name: string): Promise<void> => {
    if ((await repositories.referenceFormat(name)) === format) return listener.onDone(name, 'unchanged');
    if (isDryRun) return listener.onDone(name, 'needed');
    await repositories.migrateReferences(name, format);
    listener.onDone(name, 'migrated');
  };
  await eachConcurrently(names, jobs, (name) =>
    migrate(name).catch((error: unknown) => listener.onFailed(name, messageOf(error))),
  );
}
