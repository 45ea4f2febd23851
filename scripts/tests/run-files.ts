import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { FileResult } from './file-result.ts';
import { IdleCores } from './idle-cores.ts';
import { ownProcessReason } from './own-process.ts';
import { type PrintedResult, TestProcess, type TestProcessOptions } from './test-process.ts';

/** A process that has run this many files is replaced: its memory grows, to 0.6 GB at this number. */
const MAX_FILES_PER_PROCESS = 160;

/** How often a process that waits for idle cores looks for them. */
const SPARE_POLL_MS = 250;

/**
 * Options of processes with several files, which take a twelfth of their CPU time less with them:
 * other processes need the cores that threads of the collector would use, and a young generation
 * that starts at 1 MiB is collected often. Files that measure their process run without them.
 */
export const HEAP_OPTIONS = ['--single-threaded-gc', '--min-semi-space-size=16'];

export interface RunFilesOptions extends TestProcessOptions {
  /** Number of processes at a time. */
  readonly processes: number;
  /** Number of processes that run a file in addition whenever cores are idle. */
  readonly spareProcesses?: number;
  /** Reports whether cores are idle; default: those of the machine. */
  readonly areCoresIdle?: () => boolean;
  /** Runs each file in a separate process. */
  readonly separately?: boolean;
  /** Is called with each result, and with what the file has printed. */
  readonly onResult: (result: FileResult, output: string) => void;
}

/**
 * Runs files of tests in the given order, several in a process, and returns their results. A file
 * that ends its process has failed; the next one gets another process. Once `signal` is aborted, no
 * result is added.
 */
export async function runFiles(files: readonly string[], options: RunFilesOptions): Promise<FileResult[]> {
  const { processes, spareProcesses = 0, signal } = options;
  const queue = [...files];
  const results: FileResult[] = [];
  const runNext = async (series: ProcessSeries): Promise<void> => {
    const file = queue.shift();
    if (file === undefined) return;
    const { output, ...result } = await series.run(file);
    if (signal.aborted) return;
    results.push(result);
    options.onResult(result, output);
  };
  const hasMore = (): boolean => queue.length > 0 && !signal.aborted;
  const runQueue = async (): Promise<void> => {
    await using series = new ProcessSeries(options);
    while (hasMore()) await runNext(series);
  };
  const cores = new IdleCores();
  const { areCoresIdle = () => cores.take() } = options;
  const runSpare = async (): Promise<void> => {
    await using series = new ProcessSeries(options);
    for (; hasMore(); await delay(SPARE_POLL_MS)) if (areCoresIdle()) await runNext(series);
  };
  await Promise.all([
    ...Array.from({ length: processes }, runQueue),
    ...Array.from({ length: spareProcesses }, runSpare),
  ]);
  return results;
}

/** Processes with tests, one at a time. */
class ProcessSeries implements AsyncDisposable {
  readonly #options: RunFilesOptions;
  #shared: TestProcess | undefined;

  constructor(options: RunFilesOptions) {
    this.#options = options;
  }

  async run(file: string): Promise<PrintedResult> {
    const { separately = false, cwd } = this.#options;
    if (separately || ownProcessReason(readFileSync(join(cwd, file), 'utf8')) !== undefined) {
      await using own = new TestProcess(this.#options);
      return await own.run(file);
    }
    const isUsed = this.#shared?.hasEnded || (this.#shared?.filesRun ?? 0) >= MAX_FILES_PER_PROCESS;
    if (isUsed) await this[Symbol.asyncDispose]();
    const nodeOptions = [...HEAP_OPTIONS, ...this.#options.nodeOptions];
    this.#shared ??= new TestProcess({ ...this.#options, nodeOptions });
    return await this.#shared.run(file);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#shared?.[Symbol.asyncDispose]();
    this.#shared = undefined;
  }
}
