import { formatShortBytes } from '#base/format-bytes';
import { formatSeconds } from '../import/format-seconds.ts';
import { formatBar } from '../import/progress-bar.ts';
import type { BackUpStorageOptions } from './back-up-storage.ts';
import type { BackupJob } from './job.ts';
import type { BackupResult } from './metrics-file.ts';
import type { JobOutcome } from './pipeline.ts';

/** An output stream that may be a terminal. */
export interface Output {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

const REDRAW_MS = 100;
const CLEAR_LINE = '\r\u001b[K';

/**
 * Reports a backup or a restore: on a terminal a progress bar and the failures, else a JSON line
 * for each repository on standard output.
 */
export class BackupReport implements Disposable {
  readonly #outputs: { readonly stdout: Output; readonly stderr: Output };
  readonly #startedAt = performance.now();
  readonly #counts = { done: 0, skipped: 0, failed: 0 };
  readonly #timer: NodeJS.Timeout | undefined;
  #lastFailure = { repository: '', problem: '' };
  #total = 0;
  #bytes = 0;

  constructor(outputs: { readonly stdout: Output; readonly stderr: Output }) {
    this.#outputs = outputs;
    if (outputs.stderr.isTTY === true) this.#timer = setInterval(() => this.#draw(), REDRAW_MS);
  }

  get listener(): BackUpStorageOptions['listener'] {
    return {
      onFound: (repositories) => {
        this.#total = repositories;
      },
      onStart: () => {},
      onEnd: (job, outcome) => this.#end(job, outcome),
    };
  }

  /** Number of repositories. */
  get total(): number {
    return this.#total;
  }

  /** Counts bytes that have been stored, or read. */
  addBytes(bytes: number): void {
    this.#bytes += bytes;
  }

  /** Number of repositories with each outcome. */
  get counts(): Readonly<Record<JobOutcome['kind'], number>> {
    return this.#counts;
  }

  /** The last repository that failed, with the reason; empty if none failed. */
  get lastFailure(): { readonly repository: string; readonly problem: string } {
    return this.#lastFailure;
  }

  /** The result so far. */
  get facts(): Pick<BackupResult, 'repositories' | 'bytes' | 'seconds'> {
    const seconds = (performance.now() - this.#startedAt) / 1000;
    return { repositories: this.#counts, bytes: this.#bytes, seconds };
  }

  /** Describes the result in one line, such as `backup one: 3 backed up, …`. */
  summary(title: string, what: string): string {
    const { done, skipped, failed } = this.#counts;
    const facts = [
      `${done} ${what}`,
      `${skipped} skipped`,
      `${failed} failed`,
      formatShortBytes(this.#bytes),
    ];
    const seconds = (performance.now() - this.#startedAt) / 1000;
    return `${title}: ${facts.join(', ')} in ${formatSeconds(seconds)}`;
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    if (this.#timer !== undefined) this.#outputs.stderr.write(CLEAR_LINE);
  }

  #end({ relativePath }: BackupJob, outcome: JobOutcome): void {
    this.#counts[outcome.kind]++;
    if (outcome.kind === 'failed') this.#lastFailure = { repository: relativePath, problem: outcome.message };
    const { stdout, stderr } = this.#outputs;
    const message = outcome.kind === 'failed' ? { error: outcome.message } : {};
    if (this.#timer === undefined)
      stdout.write(`${JSON.stringify({ repository: relativePath, outcome: outcome.kind, ...message })}\n`);
    else if (outcome.kind === 'failed')
      stderr.write(`${CLEAR_LINE}failed    ${relativePath}: ${outcome.message}\n`);
  }

  #draw(): void {
    const { stderr } = this.#outputs;
    const { done, skipped, failed } = this.#counts;
    const ended = done + skipped + failed;
    const elapsedSeconds = (performance.now() - this.#startedAt) / 1000;
    const fraction = this.#total === 0 ? 0 : ended / this.#total;
    const state = { total: this.#total, done: ended, bytes: this.#bytes, fraction, elapsedSeconds };
    stderr.write(`${CLEAR_LINE}${formatBar(state, stderr.columns ?? 80)}`);
  }
}
