import { codeOf, wrap } from '#base/gitaly-error';
import { asGoStatus } from '#base/go/status';
import { CallError } from '#client/index';
import { FAILED_REPOSITORIES } from '#rpc/common/header-names';
import {
  BackupRepositoryResponse_SkippedErrorSchema,
  RestoreRepositoryResponse_SkippedErrorSchema,
} from '#wire/gen/repository_pb';
import type { BackupJob } from './job.ts';
import {
  type BackupOperator,
  type CreateBackupOptions,
  type RestoreOptions,
  SkippedError,
} from './operator.ts';
import type { Servers } from './servers.ts';

/** Lets the servers store their repositories in the bucket of their own configuration. */
export class ServerSideOperator implements BackupOperator {
  readonly #servers: Servers;

  constructor(servers: Servers) {
    this.#servers = servers;
  }

  async create(job: BackupJob, { id, latestId, incremental, signal }: CreateBackupOptions): Promise<void> {
    const repository = targetOf(job);
    const names = { repository, vanityRepository: repository, backupId: id };
    try {
      const connection = await this.#servers.of(job.storageName, job.server);
      const request = { ...names, latestBackupId: latestId, incremental };
      await connection.repository.backupRepository(request, { signal });
    } catch (error) {
      const isSkipped =
        codeOf(error) === 'NOT_FOUND' ||
        (error instanceof CallError &&
          error.detail(BackupRepositoryResponse_SkippedErrorSchema) !== undefined);
      throw failure(error, 'server-side create', isSkipped);
    }
  }

  async restore(job: BackupJob, { id, useLatest, signal }: RestoreOptions): Promise<void> {
    const repository = targetOf(job);
    const request = { repository, vanityRepository: repository, backupId: id, useLatest };
    try {
      const connection = await this.#servers.of(job.storageName, job.server);
      await connection.repository.restoreRepository(request, { signal });
    } catch (error) {
      const isSkipped =
        error instanceof CallError &&
        error.detail(RestoreRepositoryResponse_SkippedErrorSchema) !== undefined;
      throw failure(error, 'server-side restore', isSkipped);
    }
  }

  async writeId(
    backupId: string,
    { failed, signal }: { readonly failed: number; readonly signal: AbortSignal },
  ): Promise<void> {
    try {
      const { storageName, server } = this.#servers.any();
      const connection = await this.#servers.of(storageName, server);
      const metadata = { [FAILED_REPOSITORIES]: String(failed) };
      await connection.backup.writeBackupID({ storageName, backupId }, { metadata, signal });
    } catch (error) {
      throw failure(error, 'server-side write backup id', false);
    }
  }

  async latestId(signal: AbortSignal): Promise<string | undefined> {
    try {
      const { storageName, server } = this.#servers.any();
      const connection = await this.#servers.of(storageName, server);
      return (await connection.backup.readLatestBackupID({ storageName }, { signal })).backupId;
    } catch (error) {
      if (codeOf(error) === 'NOT_FOUND') return undefined;
      throw failure(error, 'server-side read latest backup id', false);
    }
  }
}

function targetOf({ storageName, relativePath, glProjectPath }: BackupJob) {
  return { storageName, relativePath, glProjectPath };
}

function failure(error: unknown, prefix: string, isSkipped: boolean): Error {
  const wrapped = wrap(asGoStatus(error), isSkipped ? `${prefix}: repository skipped` : prefix);
  return isSkipped ? new SkippedError(wrapped.message, { cause: error }) : wrapped;
}
