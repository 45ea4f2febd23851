import { formatShortBytes } from '#base/format-bytes';
import { formatSeconds } from '../import/format-seconds.ts';
import { formatBar } from '../import/progress-bar.ts';
import { ProgressLine, type TerminalOutput } from '../progress-line.ts';
import type { BackUpStorageOptions } from './back-up-storage.ts';
import type { BackupJob } from './job.ts';
import type { BackupResult } from './metrics-file.ts';
import type { JobOutcome } from './pipeline.ts';

interface Outputs {
  readonly stdout: TerminalOutput;
  readonly stderr: TerminalOutput;
}

/**
 * Reports a backup or a restore: on a terminal a progress bar and the failures, else a JSON line
 * for each repository on standard output.
 */
export class BackupReport implements Disposable {
  readonly #outputs: Outputs;
  readonly #startedAt = performance.now();
  readonly #counts = { done: 0, skipped: 0, failed: 0 };
  readonly #line: ProgressLine;
  #lastFailure = { repository: '', problem: '' };
  #total = 0;
  #bytes = 0;

  constructor(outputs: Outputs) {
    this.#outputs = outputs;
    this.#line = new ProgressLine(outputs.stderr, (columns) => this.#bar(columns));
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
    return `${title}: ${facts.join(', ')} in ${formatSeconds(this.facts.seconds)}`;
  }

  [Symbol.dispose](): void {
    this.#line[Symbol.dispose]();
  }

  #end({ relativePath }: BackupJob, outcome: JobOutcome): void {
    this.#counts[outcome.kind]++;
    if (outcome.kind === 'failed') this.#lastFailure = { repository: relativePath, problem: outcome.message };
    const { stdout, stderr } = this.#outputs;
    const message = outcome.kind === 'failed' ? { error: outcome.message } : {};
    if (stderr.isTTY !== true)
      stdout.write(`${JSON.stringify({ repository: relativePath, outcome: outcome.kind, ...message })}\n`);
    else if (outcome.kind === 'failed')
      this.#line.print(stderr, `failed    ${relativePath}: ${outcome.message}\n`);
  }

  #bar(columns: number): string {
    const { done, skipped, failed } = this.#counts;
    const ended = done + skipped + failed;
    const { bytes, seconds: elapsedSeconds } = this.facts;
    const fraction = this.#total === 0 ? 0 : ended / this.#total;
    const state = { total: this.#total, done: ended, bytes, fraction, elapsedSeconds };
    return formatBar(state, columns);
  }
}
