import { codeOf, messageOf } from '#base/gitaly-error';
import type { Connection } from '#client/index';
import type { BackupJob } from './job.ts';
import type { JobOutcome, PipelineListener } from './pipeline.ts';
import type { Servers } from './servers.ts';

/** The result of a backup of a storage, as the server shows it. */
export interface ReportedRun {
  readonly id: string;
  readonly program: string;
  /** Repositories that were stored, or had nothing to store. */
  readonly repositories: number;
  readonly failed: number;
  /** The last of them, and why it failed. */
  readonly failedRepository: string;
  readonly problem: string;
}

const TIMEOUT_MS = 10_000;
/** Error of Gitaly's Praefect for a method that it does not know; its code is INTERNAL. */
const UNKNOWN_TO_PRAEFECT = 'full method name not found';

/**
 * Reports the result of a backup of one of its storages to a server. Other versions of the server
 * do not have this call.
 *
 * @param onProblem is called if the server could not be reached; this does not change the backup.
 */
export async function reportRun(
  connection: Connection,
  storageName: string,
  { failed, repositories, ...run }: ReportedRun,
  onProblem: (error: unknown) => void,
): Promise<void> {
  const message = { ...run, failed: BigInt(failed), repositories: BigInt(repositories) };
  try {
    await connection.backupRuns.report({ storageName, run: message }, { timeoutMs: TIMEOUT_MS });
  } catch (error) {
    const isUnknown = codeOf(error) === 'UNIMPLEMENTED' || messageOf(error).includes(UNKNOWN_TO_PRAEFECT);
    if (!isUnknown) onProblem(error);
  }
}

interface StorageResult extends Omit<ReportedRun, 'id' | 'program'> {
  /** Any job of the storage: it names the server. */
  readonly job: BackupJob;
}

/** Counts the results of a backup by storage and server. */
export class StorageResults implements PipelineListener {
  readonly #next: PipelineListener;
  readonly #results = new Map<string, StorageResult>();

  /** @param next receives all that this one does. */
  constructor(next: PipelineListener) {
    this.#next = next;
  }

  onStart(job: BackupJob): void {
    this.#next.onStart(job);
  }

  onEnd(job: BackupJob, outcome: JobOutcome): void {
    const key = JSON.stringify([job.server, job.storageName]);
    const { failed, repositories, ...others } = this.#results.get(key) ?? {
      ...{ job, failed: 0, repositories: 0, failedRepository: '', problem: '' },
    };
    this.#results.set(
      key,
      outcome.kind === 'failed'
        ? {
            job,
            repositories,
            failed: failed + 1,
            failedRepository: job.relativePath,
            problem: outcome.message,
          }
        : { ...others, failed, repositories: repositories + 1 },
    );
    this.#next.onEnd(job, outcome);
  }

  /**
   * Reports the results of its storages to each server. If nothing was stored from a server, it may
   * be down, so problems with the report are not reported.
   */
  async report(
    run: Pick<ReportedRun, 'id' | 'program'>,
    servers: Pick<Servers, 'of'>,
    onProblem: (error: unknown) => void,
  ): Promise<void> {
    for (const { job, ...result } of this.#results.values()) {
      const onFailure = result.repositories > 0 ? onProblem : () => {};
      const connection = await servers.of(job.storageName, job.server).catch(onFailure);
      if (connection) await reportRun(connection, job.storageName, { ...run, ...result }, onFailure);
    }
  }
}
