import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { programCommand } from '#testkit/programs/program-command';
import { until } from '#testkit/until';
import { isAlive } from '#tools/wrapper/find-server';

const ROOT = join(import.meta.dirname, '../../..');
/** Lines of the log that are kept for the error of a failed start. */
const KEPT_LINES = 20;
/** Time limit of a start while all clients run, on a busy machine. */
const START_MS = 120_000;

type LogLine = Readonly<Record<string, unknown>>;

/** A Praefect in a separate process, which can be killed and started again. */
export class PraefectProcess implements AsyncDisposable {
  /** Called with each line of its log. */
  onLine: (line: LogLine) => void = () => {};
  readonly #config: string;
  readonly #env: Readonly<Record<string, string>>;
  #child: ChildProcess | undefined;
  /** That of a successor after {@link handOver}. */
  #pid = 0;
  #exited: Promise<unknown> = Promise.resolve();

  private constructor(config: string, env: Readonly<Record<string, string>>) {
    this.#config = config;
    this.#env = env;
  }

  /**
   * @param config path of the configuration file, with `format = "json"` for the log.
   * @param options.env added to the environment of this process.
   * @param options.onLine receives the log from the first line on.
   */
  static async start(
    config: string,
    { env = {}, onLine }: { env?: Readonly<Record<string, string>>; onLine?: (line: LogLine) => void } = {},
  ): Promise<PraefectProcess> {
    const praefect = new PraefectProcess(config, env);
    if (onLine !== undefined) praefect.onLine = onLine;
    await praefect.start();
    return praefect;
  }

  get pid(): number {
    return this.#pid;
  }

  /** Resolves when it has ended and its output was read. */
  get exited(): Promise<unknown> {
    return this.#exited;
  }

  get isRunning(): boolean {
    const hasEnded = this.#child?.pid !== this.#pid ? !isAlive(this.#pid) : isOver(this.#child);
    return this.#child !== undefined && !hasEnded;
  }

  /** Starts it again, after a kill. */
  async start(): Promise<void> {
    await this.#exited;
    const child = spawn(process.execPath, [...programCommand('praefect'), '--config', this.#config], {
      cwd: ROOT,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        ...process.env,
        NODE_COMPILE_CACHE: join(ROOT, '.cache/compiled'),
        GITALY_UPGRADES_ENABLED: 'true',
        GITALY_PID_FILE: this.#pidFile,
        ...this.#env,
      },
    });
    this.#child = child;
    this.#pid = child.pid ?? 0;
    this.#exited = once(child, 'close');
    let isStarted = false;
    const last: string[] = [];
    const read = (text: string): void => {
      last.push(text);
      if (last.length > KEPT_LINES) last.shift();
      if (!text.startsWith('{')) return;
      const line = JSON.parse(text) as LogLine;
      isStarted ||= line.msg === 'Started Praefect';
      this.onLine(line);
    };
    for (const stream of [child.stdout, child.stderr]) createInterface({ input: stream }).on('line', read);
    await until(
      () => isStarted || !this.isRunning,
      () => `praefect starts: ${last.join('\n')}`,
      START_MS,
    );
    if (!isStarted) throw new Error(`praefect has ended: ${last.join('\n')}`);
  }

  /** Restarts it in the way that refuses no call. Returns when the old process has ended. */
  async handOver(): Promise<void> {
    const before = this.#pid;
    process.kill(before, 'SIGHUP');
    await until(
      () => Number(readFileSync(this.#pidFile, 'utf8')) !== before && !isAlive(before),
      'a successor of praefect has taken over',
      START_MS,
    );
    this.#pid = Number(readFileSync(this.#pidFile, 'utf8'));
  }

  kill(signal: NodeJS.Signals): void {
    if (this.isRunning) process.kill(this.#pid, signal);
  }

  get #pidFile(): string {
    return `${this.#config}.pid`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.kill('SIGKILL');
    await this.#exited;
  }
}

function isOver({ exitCode, signalCode }: ChildProcess): boolean {
  return exitCode !== null || signalCode !== null;
}
