import { formatShortBytes } from '#base/format-bytes';
import { ProgressLine, type TerminalOutput } from '../progress-line.ts';
import type { ImportListener } from './import-all.ts';
import { formatBar } from './progress-bar.ts';
import type { ImportSource } from './source.ts';
import { displayOf } from './url.ts';

export interface ReportOptions {
  readonly stdout: TerminalOutput;
  readonly stderr: TerminalOutput;
  readonly sources: readonly ImportSource[];
  /** Returns the estimated bytes of a source; `undefined` while unknown. */
  readonly sizeOf: (source: ImportSource) => number | undefined;
}

/**
 * Reports the progress of an import: a line for each repository (results on standard output,
 * failures on standard error), and on a terminal a progress bar below them.
 */
export class ImportReport implements ImportListener, Disposable {
  readonly #options: ReportOptions;
  readonly #startedAt = performance.now();
  readonly #running = new Map<ImportSource, number>();
  readonly #line: ProgressLine;
  readonly #done = new Set<ImportSource>();
  #doneBytes = 0;

  constructor(options: ReportOptions) {
    this.#options = options;
    this.#line = new ProgressLine(options.stderr, (columns) => this.#bar(columns));
  }

  get elapsedSeconds(): number {
    return (performance.now() - this.#startedAt) / 1000;
  }

  onStart(source: ImportSource): void {
    this.#running.set(source, 0);
  }

  onProgress(source: ImportSource, bytes: number): void {
    this.#running.set(source, bytes);
  }

  onDone(
    source: ImportSource,
    { outcome, bytes, references, note }: Parameters<ImportListener['onDone']>[1],
  ): void {
    const facts =
      outcome === 'imported'
        ? [`${references} ${references === 1 ? 'reference' : 'references'}`, formatShortBytes(bytes)]
        : [];
    const text = [...facts, ...(note === undefined ? [] : [note])].join(', ');
    this.#finish(source, bytes);
    this.#line.print(this.#options.stdout, `${outcome.padEnd(8)}  ${source.relativePath}  ${text}\n`);
  }

  onFailed(source: ImportSource, reason: string): void {
    this.#finish(source, 0);
    this.#line.print(
      this.#options.stderr,
      `failed    ${source.relativePath}  from ${displayOf(source.location)}: ${reason}\n`,
    );
  }

  /** Prints a line that belongs to no repository. */
  say(text: string): void {
    this.#line.print(this.#options.stderr, `${text}\n`);
  }

  [Symbol.dispose](): void {
    this.#line[Symbol.dispose]();
  }

  #finish(source: ImportSource, bytes: number): void {
    this.#running.delete(source);
    this.#done.add(source);
    this.#doneBytes += bytes;
  }

  #bar(columns: number): string {
    const { sources } = this.#options;
    const running = [...this.#running.values()].reduce((sum, bytes) => sum + bytes, 0);
    const state = {
      total: sources.length,
      done: this.#done.size,
      bytes: this.#doneBytes + running,
      fraction: this.#fraction(),
      elapsedSeconds: this.elapsedSeconds,
    };
    return formatBar(state, columns);
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
