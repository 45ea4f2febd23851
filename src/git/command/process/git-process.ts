import type { Duplex, Readable, Writable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { timeLeftMs } from '#base/async/time-left';
import { attempt } from '#base/attempt';
import { GitalyError } from '#base/gitaly-error';
import type { ByteStream } from '#base/streams/byte-stream';
import type { Arg, SpawnedChild } from '../spawner/spawner.ts';
import { limitCpu } from './cpu-limit.ts';
import { abortText, type GitExit, GitExitError } from './exit-error.ts';
import { StderrHead } from './stderr-head.ts';

/**
 * Time for a process to clean up after SIGTERM (git removes its lock files) before it is killed.
 */
const KILL_GRACE_MS = 10_000;
/**
 * Time to wait for the end of standard error after the process has ended: a grandchild may hold it
 * open forever.
 */
const STDERR_DRAIN_MS = 1_000;
/** Interval for checking the rest of an ended process's group. */
const GROUP_CHECK_MS = 500;
/**
 * Time to wait for the end of a killed group: its dead members may stay zombies if no one reaps
 * them.
 */
const GROUP_GONE_MS = 1_000;
const GROUP_GONE_CHECK_MS = 20;

export interface GitProcessOptions {
  readonly argv: readonly Arg[];
  readonly startedAt: number;
  /** Name of the process in our messages. */
  readonly title: string;
  readonly signal: AbortSignal | undefined;
  /** True if the beginning of standard error is stored; otherwise the caller reads the stream. */
  readonly keepStderr: boolean;
  /** Time for the group to end. Default 10 s. */
  readonly killGraceMs: number | undefined;
  readonly onExit: (process: GitProcess, exit: GitExit) => void;
}

/**
 * A running process. An abort sends SIGTERM to its whole process group, and SIGKILL after a grace
 * period. Leaving the `await using` block ends it. {@link succeeded} checks its exit code. The
 * object does not outlive the reaping of the process.
 */
export class GitProcess implements AsyncDisposable {
  readonly pid: number;
  readonly argv: readonly Arg[];
  readonly title: string;
  /** Two-way sockets: descriptors 3, 4, … of the process. */
  readonly extra: readonly Duplex[];
  /** Resolves when the process has been reaped and its standard error has ended. Never rejects. */
  readonly exited: Promise<GitExit>;
  readonly #child: SpawnedChild;
  readonly #head: StderrHead | undefined;
  readonly #signal: AbortSignal | undefined;
  readonly #killGraceMs: number;
  readonly #onAbort = (): void => this.#end(this.#signal === undefined ? undefined : abortText(this.#signal));
  #reaped = false;
  #groupEnd: Promise<void> | undefined;
  #ended: string | undefined;
  #termSent = false;
  /** The exceeded limit of CPU time. */
  #exceededCpuSeconds: number | undefined;

  constructor(child: SpawnedChild, options: GitProcessOptions) {
    this.pid = child.pid;
    this.argv = options.argv;
    this.title = options.title;
    this.extra = child.extra;
    this.#child = child;
    this.#signal = options.signal;
    this.#killGraceMs = options.killGraceMs ?? KILL_GRACE_MS;
    this.#head = options.keepStderr && child.stderr !== undefined ? new StderrHead(child.stderr) : undefined;
    // A write reports a closed reader to the writer; the event must not be unhandled.
    for (const stream of [child.stdin, child.stdout, ...child.extra]) stream?.on('error', () => {});
    if (!options.keepStderr) child.stderr?.on('error', () => {});
    this.exited = this.#watch(options);
    if (options.signal?.aborted === true) this.#onAbort();
    else options.signal?.addEventListener('abort', this.#onAbort, { once: true });
  }

  /** True if the process was signalled to end, by an abort or by {@link kill}. */
  get isEnding(): boolean {
    return this.#termSent;
  }

  /** Standard input. @throws when the process was started without `stdin: 'pipe'`. */
  get stdin(): Writable {
    return present(this.#child.stdin, 'stdin');
  }

  /**
   * Standard output. @throws when the process was started with another standard output than `pipe`.
   */
  get stdout(): ByteStream {
    return present(this.#child.stdout, 'stdout');
  }

  /** Standard error, if the process was started with `stderr: 'pipe'`. @throws otherwise. */
  get stderrStream(): Readable {
    return present(this.#head === undefined ? this.#child.stderr : undefined, 'stderr');
  }

  /**
   * The beginning of standard error so far, at most 10,000 bytes (the rest is read and dropped).
   * Complete once `exited` resolves.
   */
  get stderrHead(): Buffer {
    return this.#head?.bytes() ?? Buffer.alloc(0);
  }

  /** Returns {@link stderrHead} as text. */
  stderr(): string {
    return this.stderrHead.toString();
  }

  /** True if the process was ended for its CPU time. */
  get hasExceededCpu(): boolean {
    return this.#exceededCpuSeconds !== undefined;
  }

  /**
   * Ends the process if it uses more CPU time than this from now on, until the result is disposed
   * or the process has ended. {@link failure} then reports it.
   */
  limitCpu(maxSeconds: number): Disposable {
    const onExceeded = (): void => {
      if (!this.#termSent) this.#exceededCpuSeconds = maxSeconds;
      this.kill();
    };
    const limit = limitCpu({ pid: this.pid, maxSeconds, onExceeded });
    void this.exited.then(() => limit[Symbol.dispose]());
    return limit;
  }

  /** Waits for the end. @throws {@link failure} unless the exit code is 0. */
  async succeeded(): Promise<void> {
    const exit = await this.exited;
    if (exit.code !== 0) throw this.failure(exit);
  }

  exitError(exit: GitExit): GitExitError {
    return new GitExitError(this.argv, exit, this.stderr());
  }

  /**
   * Returns {@link exitError}, or RESOURCE_EXHAUSTED if the process was ended for its CPU time
   * ({@link limitCpu}).
   */
  failure(exit: GitExit): GitExitError | GitalyError {
    const seconds = this.#exceededCpuSeconds;
    if (seconds !== undefined) {
      const text = `${this.title} used more than ${seconds} s of processor time`;
      return new GitalyError('RESOURCE_EXHAUSTED', text, { metadata: { stderr: this.stderr() } });
    }
    return this.exitError(exit);
  }

  /** Sends SIGTERM to the process group, and SIGKILL after the grace period. Returns at once. */
  kill(): void {
    this.#end(undefined);
  }

  /**
   * Waits until the group of a process that was signalled to end is gone, at the latest when it is
   * killed; returns at once for a process that ended by itself.
   */
  async groupEnded(): Promise<void> {
    await this.#groupEnd;
  }

  /** Ends the process if it still runs, and waits for its end. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#reaped) this.kill();
    this.#destroyStreams();
    await this.exited;
  }

  #end(reason: string | undefined): void {
    if (this.#reaped || this.#termSent) return;
    this.#termSent = true;
    this.#ended = reason;
    // First the signal: git would report the end of its input as an error before it gets it.
    this.#endGroup();
    // Wakes a process that is blocked in a write or a read, even if it ignores the signal.
    this.#destroyStreams();
  }

  /**
   * Sends SIGTERM to the group, SIGKILL after the grace period, and checks it until it is gone. Its
   * id cannot be reused while a member lives, and the checks stop when none does.
   */
  #endGroup(): void {
    this.#signalGroup('SIGTERM');
    this.#groupEnd = this.#watchGroup();
  }

  async #watchGroup(): Promise<void> {
    const killAt = performance.now() + this.#killGraceMs;
    while (!this.#reaped || this.#signalGroup(0)) {
      const left = timeLeftMs(killAt);
      if (left === 0) break;
      // The event loop is held through the child itself; the rest of a group must not keep us
      // alive.
      const checked = delay(Math.min(left, GROUP_CHECK_MS), undefined, { ref: false });
      await (this.#reaped ? checked : Promise.race([checked, this.#child.exited]));
    }
    const giveUpAt = performance.now() + GROUP_GONE_MS;
    while (this.#signalGroup('SIGKILL') && performance.now() < giveUpAt)
      await delay(GROUP_GONE_CHECK_MS, undefined, { ref: false });
  }

  /**
   * Ends the children of a process that was killed from outside (for example by the kernel for lack
   * of memory): they do not end by themselves and may hold its pipes.
   */
  #endOrphans(): void {
    this.#endGroup();
  }

  /** Sends a signal to the group. Returns whether it still has a member. */
  #signalGroup(signal: NodeJS.Signals | 0): boolean {
    // ESRCH: the group is gone. EPERM (a member changed its user): it is not ours any more.
    return attempt(() => process.kill(-this.pid, signal)) ?? false;
  }

  #destroyStreams(): void {
    this.#child.stdin?.destroy();
    this.#child.stdout?.destroy();
    for (const socket of this.extra) socket.destroy();
    if (this.#head === undefined) this.#child.stderr?.destroy();
  }

  async #watch(options: GitProcessOptions): Promise<GitExit> {
    const exit = await this.#child.exited;
    this.#reaped = true;
    if (exit.signal !== undefined && !this.#termSent) this.#endOrphans();
    this.#signal?.removeEventListener('abort', this.#onAbort);
    const realMs = performance.now() - options.startedAt;
    await this.#head?.complete(STDERR_DRAIN_MS);
    const result: GitExit = { ...exit, realMs, ended: this.#ended };
    options.onExit(this, result);
    return result;
  }
}

function present<T>(stream: T | undefined, name: string): T {
  if (stream === undefined) throw new Error(`the process was started without a pipe for ${name}`);
  return stream;
}
