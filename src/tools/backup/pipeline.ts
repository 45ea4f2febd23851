import { clientMessageOf } from '#base/gitaly-error';
import { Limit } from '#base/limits/limit';
import type { BackupJob } from './job.ts';
import { SkippedError } from './operator.ts';

/** The end of a job. */
export type JobOutcome =
  | { readonly kind: 'done' | 'skipped' }
  | { readonly kind: 'failed'; readonly message: string };

/** Is called when jobs start and end. */
export interface PipelineListener {
  onStart(job: BackupJob): void;
  onEnd(job: BackupJob, outcome: JobOutcome): void;
}

export interface PipelineOptions {
  readonly listener: PipelineListener;
  /** Jobs at a time; 0 leaves only the limit of each storage. */
  readonly parallel: number;
  /** Jobs of one storage at a time; 0 leaves only the limit of all. */
  readonly parallelStorage: number;
  readonly run: (job: BackupJob) => Promise<void>;
  readonly signal: AbortSignal;
}

const ALL = '';

/** Runs jobs with limited concurrency. A job that fails does not affect the others. */
export class Pipeline {
  readonly #options: PipelineOptions;
  /** Jobs of a storage that run, or wait for {@link #total}. */
  readonly #storages: Limit<string>;
  readonly #total: Limit<string> | undefined;
  readonly #running = new Set<Promise<void>>();
  readonly #failures: string[] = [];
  readonly #done: BackupJob[] = [];

  constructor(options: PipelineOptions) {
    this.#options = options;
    const { parallel, parallelStorage } = options;
    this.#storages = new Limit({ capacityPerOwner: parallelStorage || parallel || 1 });
    this.#total = parallel > 0 && parallelStorage > 0 ? new Limit({ capacity: parallel }) : undefined;
  }

  /** Waits until the job may start, and starts it. */
  async handle(job: BackupJob): Promise<void> {
    const { parallelStorage, signal } = this.#options;
    const key = parallelStorage > 0 ? job.storageName : ALL;
    const turn = await this.#storages.acquire(key, { signal });
    const running = this.#run(job).finally(() => {
      turn.release();
      this.#running.delete(running);
    });
    this.#running.add(running);
  }

  /**
   * Waits for all jobs.
   *
   * @returns the jobs that succeeded, the number of failures, and a text that lists them;
   *   `undefined` without any.
   */
  async end(): Promise<{
    readonly done: readonly BackupJob[];
    readonly failed: number;
    readonly failures: string | undefined;
  }> {
    await Promise.all(this.#running);
    const lines = this.#failures.map((failure) => ` - ${failure}\n`).join('');
    const failures =
      lines === '' ? undefined : `pipeline: ${this.#failures.length} failures encountered:\n${lines}`;
    return { done: this.#done, failed: this.#failures.length, failures };
  }

  async #run(job: BackupJob): Promise<void> {
    const { listener, run, signal } = this.#options;
    try {
      const turn = await this.#total?.acquire(ALL, { signal });
      try {
        listener.onStart(job);
        await run(job);
      } finally {
        turn?.release();
      }
    } catch (error) {
      if (error instanceof SkippedError) return listener.onEnd(job, { kind: 'skipped' });
      const message = clientMessageOf(error);
      listener.onEnd(job, { kind: 'failed', message });
      const { relativePath, glProjectPath } = job;
      const name = glProjectPath === '' ? relativePath : `${relativePath} (${glProjectPath})`;
      this.#failures.push(`${name}: ${message}`);
      return;
    }
    this.#done.push(job);
    listener.onEnd(job, { kind: 'done' });
  }
}
