import { wrap, wrapped } from '#base/gitaly-error';
import { readLatestBackupId, writeBackupId } from '#domain/backup/backup-ids';
import { type BackupObserver, createBackup } from '#domain/backup/create-backup';
import type { BackupManifest } from '#domain/backup/manifest';
import { findLatestManifest, findManifest, isMissing } from '#domain/backup/manifests';
import { emptyOlderBackup, findOlderBackup } from '#domain/backup/older-layouts';
import { createPointerBackup } from '#domain/backup/pointer-layout';
import type { ObjectStore } from '#object-store/object-store';
import { MissingObjectError } from '#object-store/store-error';
import { BackupCalls } from './backup-calls.ts';
import type { BackupJob } from './job.ts';
import {
  type BackupOperator,
  type CreateBackupOptions,
  type RestoreOptions,
  SkippedError,
} from './operator.ts';
import { restoreRemote } from './restore-remote.ts';
import type { Servers } from './servers.ts';

/** The program has no metrics. */
const UNOBSERVED: BackupObserver = { observePhase: () => {}, observeBundle: () => {} };

/** How the files of backups are found. The older ones have no manifests; `legacy` is only read. */
export type BackupLayout = 'manifest' | 'pointer' | 'legacy';

/** Sees restores of repositories that are not as usual. */
export interface RestoreListener {
  /** The references alone cannot be restored. */
  onBundles(job: BackupJob, backupId: string, reason: unknown): void;
  /** References were left out, because their objects are not in the backup. */
  onSkipped(job: BackupJob, backupId: string, references: number): void;
}

const SKIPPED = {
  empty: 'manager: repository empty: repository skipped',
  unchanged: 'manager: write bundle: repository skipped: no changes to bundle',
};

/** Copies repositories by calls of their servers into a directory or a bucket, and back. */
export class StoreOperator implements BackupOperator {
  readonly #store: ObjectStore;
  readonly #servers: Pick<Servers, 'of'>;
  readonly #listener: RestoreListener;
  readonly #layout: BackupLayout;

  /**
   * @param listener receives what happens in restores.
   * @param layout of new backups; backups are found in any, this one is preferred.
   */
  constructor(
    store: ObjectStore,
    servers: Pick<Servers, 'of'>,
    listener: RestoreListener,
    layout: BackupLayout = 'manifest',
  ) {
    this.#layout = layout;
    this.#store = store;
    this.#servers = servers;
    this.#listener = listener;
  }

  async create(job: BackupJob, options: CreateBackupOptions): Promise<void> {
    const source = await this.#repositoryOf(job, options.signal);
    const settings = { ...options, name: job, observer: UNOBSERVED };
    if (this.#layout === 'manifest') return await createBackup(this.#store, source, settings);
    const outcome = await createPointerBackup(this.#store, source, settings);
    if (outcome !== 'stored') throw new SkippedError(SKIPPED[outcome]);
  }

  async restore(job: BackupJob, { id, useLatest, signal }: RestoreOptions): Promise<void> {
    const repository = await this.#repositoryOf(job, signal);
    const manifest = await this.#find(job, repository, { id, useLatest, signal });
    await restoreRemote(this.#store, repository, manifest, {
      onBundles: (reason) => this.#listener.onBundles(job, id, reason),
      onSkipped: (references) => this.#listener.onSkipped(job, id, references),
      signal,
    });
  }

  async writeId(
    id: string,
    options: { readonly failed: number; readonly signal: AbortSignal },
  ): Promise<void> {
    if (this.#layout !== 'manifest') return;
    await writeBackupId(this.#store, id, options).catch(wrapped('write backup marker'));
  }

  async latestId(signal: AbortSignal): Promise<string | undefined> {
    if (this.#layout !== 'manifest') return undefined;
    try {
      return await readLatestBackupId(this.#store, { signal });
    } catch (error) {
      if (error instanceof MissingObjectError) return undefined;
      throw wrap(error, 'find latest backup ID');
    }
  }

  /**
   * Finds a backup. A repository that has none at all is removed, as by Gitaly, unless the store
   * is empty: then it is another directory than the user thinks.
   */
  async #find(
    job: BackupJob,
    repository: BackupCalls,
    { id, useLatest, signal }: RestoreOptions,
  ): Promise<BackupManifest> {
    const older = (backupId: string) => findOlderBackup(this.#store, job.relativePath, backupId, { signal });
    const preferred = this.#layout === 'manifest' ? undefined : await older(id);
    if (preferred !== undefined) return preferred;
    try {
      if (id !== '') return await findManifest(this.#store, job, id, { signal });
    } catch (error) {
      const found = isMissing(error) ? await older(id) : undefined;
      if (found !== undefined) return found;
      if (!useLatest || !isMissing(error)) throw wrap(error, 'manager');
    }
    try {
      return await findLatestManifest(this.#store, job, { signal });
    } catch (error) {
      const found = isMissing(error) ? await older('') : undefined;
      if (found !== undefined) return found;
      if (!isMissing(error)) throw wrap(error, 'manager');
      if (!(await this.#hasAny(signal))) throw new Error('there is no backup in the place that -path names');
      if (this.#layout !== 'manifest' && job.alwaysCreate === true) return emptyOlderBackup(job.relativePath);
      await repository.remove().catch(wrapped('manager: repository removed'));
      throw error;
    }
  }

  async #hasAny(signal: AbortSignal): Promise<boolean> {
    for await (const page of this.#store.list('', { signal })) if (page.length > 0) return true;
    return false;
  }

  async #repositoryOf(job: BackupJob, signal: AbortSignal): Promise<BackupCalls> {
    try {
      const connection = await this.#servers.of(job.storageName, job.server);
      const { storageName, relativePath, glProjectPath } = job;
      return new BackupCalls(connection, { storageName, relativePath, glProjectPath }, signal);
    } catch (error) {
      throw wrap(error, 'manager');
    }
  }
}
