import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { setImmediate as immediate } from 'node:timers/promises';
import type { FileResult, WorkerMessage } from './file-result.ts';

const WORKER = join(import.meta.dirname, 'worker.ts');
/** Where Node keeps what it has compiled. */
const COMPILE_CACHE = join(import.meta.dirname, '../../.cache/compiled');
/** A process that is silent for longer than this part of a test's time limit is killed. */
const MAX_SILENCE = 1.2;
const MAX_EXIT_MS = 60_000;
/** Length of the end of a file's output that is kept. */
const MAX_OUTPUT_CHARACTERS = 1 << 18;

export interface TestProcessOptions {
  /** Time limit of each test. */
  readonly timeoutMs: number;
  readonly env: NodeJS.ProcessEnv;
  /** Options of `node`. */
  readonly nodeOptions: readonly string[];
  /** Working directory, to which the paths of files are relative. */
  readonly cwd: string;
  /** Kills the process. */
  readonly signal: AbortSignal;
}

/** A result with what the file has printed. */
export type PrintedResult = FileResult & { readonly output: string };

/**
 * A process that runs files of tests, one at a time. Disposing ends it. What is left of its process
 * group then, servers of a test that was cut off, is killed.
 */
export class TestProcess implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #socket: Duplex;
  readonly #options: TestProcessOptions;
  readonly #exited: Promise<unknown>;
  #output = '';
  #onMessage: (message: WorkerMessage) => void = () => undefined;
  #filesRun = 0;
  #isEnding = false;

  constructor(options: TestProcessOptions) {
    this.#options = options;
    const { timeoutMs, env, nodeOptions, cwd, signal } = options;
    this.#child = spawn(process.execPath, ['--conditions=source', ...nodeOptions, WORKER, `${timeoutMs}`], {
      cwd,
      env: { NODE_COMPILE_CACHE: COMPILE_CACHE, ...env },
      stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
      detached: true, // a group of its own
    });
    const kill = (): void => this.#kill();
    signal.addEventListener('abort', kill);
    if (signal.aborted) kill();
    this.#exited = new Promise((resolve) => this.#child.on('exit', resolve)).finally(() => {
      signal.removeEventListener('abort', kill);
      kill();
    });
    for (const stream of [this.#child.stdout, this.#child.stderr])
      stream?.setEncoding('utf8').on('data', (text: string) => {
        this.#output = (this.#output + text).slice(-MAX_OUTPUT_CHARACTERS);
      });
    this.#socket = this.#child.stdio[3] as Duplex; // a socket, as `stdio` requests
    this.#socket.on('error', () => undefined); // the process has ended, which `run` notices
    let rest = '';
    // No `readline`: it also ends lines at U+2028, which JSON contains as it is.
    this.#socket.setEncoding('utf8').on('data', (text: string) => {
      const lines = (rest + text).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) this.#onMessage(JSON.parse(line) as WorkerMessage); // from worker.ts
    });
  }

  /** Number of files that the process has run. */
  get filesRun(): number {
    return this.#filesRun;
  }

  /** True when the process cannot run another file. */
  get hasEnded(): boolean {
    return this.#isEnding || this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  /** Runs a file. If that ends the process or takes too long, the file has failed. */
  async run(file: string): Promise<PrintedResult> {
    this.#filesRun++;
    this.#output = '';
    const startMs = performance.now();
    const { promise, resolve } = Promise.withResolvers<FileResult>();
    let running = '';
    let isLate = false;
    const limit = setTimeout(() => {
      isLate = true;
      this.#kill();
    }, this.#options.timeoutMs * MAX_SILENCE);
    this.#onMessage = (message) => {
      limit.refresh();
      if ('started' in message) {
        running = message.started;
        return;
      }
      this.#isEnding = message.isLast ?? false;
      resolve(message.result);
    };
    void this.#exited.then(async () => {
      await immediate(); // what it has sent last comes first
      const { exitCode, signalCode } = this.#child;
      const end = isLate ? 'has not responded' : `has ended (${signalCode ?? `exit code ${exitCode}`})`;
      const place = running === '' ? 'in its first test or before' : `in the test "${running}" or after it`;
      resolve({
        file,
        failed: true,
        tests: 0,
        skipped: [],
        figures: [],
        durationMs: performance.now() - startMs,
        cpuMs: 0,
        report: '',
        problem: `The process of the file ${end} ${place}.`,
      });
    });
    this.#socket.write(`${file}\n`);
    try {
      const result = await promise;
      await immediate(); // for what it has printed
      return { ...result, output: this.#output };
    } finally {
      clearTimeout(limit);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#socket.end();
    const limit = setTimeout(() => this.#kill(), MAX_EXIT_MS);
    await this.#exited;
    clearTimeout(limit);
    for (const stream of this.#child.stdio) stream?.destroy();
  }

  /** Kills the process with those of its group. */
  #kill(): void {
    const { pid } = this.#child;
    if (pid === undefined) return; // it could not be started
    try {
      process.kill(-pid, 'SIGKILL');
    } catch {
      // all have ended
    }
  }
}
