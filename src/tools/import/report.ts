import { formatBytes } from './format-amount.ts';
import type { ImportListener } from './import-all.ts';
import { formatBar } from './progress-bar.ts';
import type { Source } from './source.ts';
import { displayOf } from './url.ts';

/** An output stream that may be a terminal. */
interface Output {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

export interface ReportOptions {
  readonly stdout: Output;
  readonly stderr: Output;
  readonly sources: readonly Source[];
  /** Returns the estimated bytes of a source; `undefined` while unknown. */
  readonly sizeOf: (source: Source) => number | undefined;
}

const REDRAW_MS = 100;
const CLEAR_LINE = '\r\u001b[K';

/**
 * Reports the progress of an import: a line for each repository (results on standard output,
 * failures on standard error), and on a terminal a progress bar below them.
 */
export class ImportReport implements ImportListener, Disposable {
  readonly #options: ReportOptions;
  readonly #startedAt = performance.now();
  readonly #running = new Map<Source, number>();
  readonly #timer: NodeJS.Timeout | undefined;
  readonly #done = new Set<Source>();
  #doneBytes = 0;

  constructor(options: ReportOptions) {
    this.#options = options;
    if (options.stderr.isTTY === true) this.#timer = setInterval(() => this.#draw(), REDRAW_MS);
  }

  get elapsedSeconds(): number {
    return (performance.now() - this.#startedAt) / 1000;
  }

  onStart(source: Source): void {
    this.#running.set(source, 0);
  }

  onProgress(source: Source, bytes: number): void {
    this.#running.set(source, bytes);
  }

  onDone(
    source: Source,
    { outcome, bytes, references, note }: Parameters<ImportListener['onDone']>[1],
  ): void {
    const facts =
      outcome === 'imported'
        ? [`${references} ${references === 1 ? 'reference' : 'references'}`, formatBytes(bytes)]
        : [];
    const text = [...facts, ...(note === undefined ? [] : [note])].join(', ');
    this.#finish(source, bytes);
    this.#print(this.#options.stdout, `${outcome.padEnd(8)}  ${source.relativePath}  ${text}\n`);
  }

  onFailed(source: Source, reason: string): void {
    this.#finish(source, 0);
    this.#print(
      this.#options.stderr,
      `failed    ${source.relativePath}  from ${displayOf(source.location)}: ${reason}\n`,
    );
  }

  /** Prints a line that belongs to no repository. */
  say(text: string): void {
    this.#print(this.#options.stderr, `${text}\n`);
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    if (this.#timer !== undefined) this.#options.stderr.write(CLEAR_LINE);
  }

  #finish(source: Source, bytes: number): void {
    this.#running.delete(source);
    this.#done.add(source);
    this.#doneBytes += bytes;
  }

  #print(output: Output, text: string): void {
    if (this.#timer !== undefined) this.#options.stderr.write(CLEAR_LINE);
    output.write(text);
    if (this.#timer !== undefined) this.#draw();
  }

  #draw(): void {
    const { stderr, sources } = this.#options;
    const running = [...this.#running.values()].reduce((sum, bytes) => sum + bytes, 0);
    const state = {
      total: sources.length,
      done: this.#done.size,
      bytes: this.#doneBytes + running,
      fraction: this.#fraction(),
      elapsedSeconds: this.elapsedSeconds,
    };
    stderr.write(`${CLEAR_LINE}${formatBar(state, stderr.columns ?? 80)}`);
  }

  /** Returns the finished part: by size if all sizes are known, otherwise by count. */
  #fraction(): number {
    const { sources, sizeOf } = this.#options;
    let [total, size] = [0, 0];
    for (const source of sources) {
      const expected = sizeOf(source);
      if (expected === undefined) return this.#done.size / sources.length;
      total += expected;
      size += this.#done.has(source) ? expected : Math.min(this.#running.get(source) ?? 0, expected);
    }
    return total === 0 ? this.#done.size / sources.length : size / total;
  }
}
