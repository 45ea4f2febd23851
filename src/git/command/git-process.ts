import type { Duplex, Readable, Writable } from 'node:stream';
import { abortText, type GitExit, GitExitError } from './exit-error.ts';
import type { Arg, SpawnedChild } from './spawner/spawner.ts';
import { StderrHead } from './stderr-head.ts';

/** How long a process may take to clean up after SIGTERM (git removes its lock files) before it is killed. */
const KILL_GRACE_MS = 10_000;
/** How long the end of standard error is waited for once the process is gone: a grandchild may hold it open for ever. */
const STDERR_LINGER_MS = 1_000;
/** How often the rest of an ended process's group is looked at. */
const GROUP_CHECK_MS = 500;

export interface ProcessParts {
  readonly argv: readonly Arg[];
  readonly startedAt: number;
  /** What the process is called in messages of ours. */
  readonly title: string;
  readonly signal: AbortSignal | undefined;
  /** Standard error goes to a stream of the caller's instead of being kept. */
  readonly keepStderr: boolean;
  /** How long the group may take to end. Default 10 s. */
  readonly killGraceMs: number | undefined;
  readonly onExit: (process: GitProcess, exit: GitExit) => void;
}

/**
 * A running child with a life cycle: abort sends SIGTERM to its whole process group, and SIGKILL after a grace; leaving the
 * `await using` block ends it; its exit code is asked for with {@link succeeded}; it never outlives its reaping.
 */
export class GitProcess implements AsyncDisposable {
  readonly pid: number;
  readonly argv: readonly Arg[];
  readonly title: string;
  /** Two-way sockets: descriptors 3, 4, … of the child. */
  readonly extra: readonly Duplex[];
  /** Resolves when the process has been reaped and its standard error has ended. Never rejects. */
  readonly exited: Promise<GitExit>;
  readonly #child: SpawnedChild;
  readonly #head: StderrHead | undefined;
  readonly #signal: AbortSignal | undefined;
  readonly #killGraceMs: number;
  readonly #onAbort = (): void => this.#end(this.#signal === undefined ? undefined : abortText(this.#signal));
  #reaped = false;
  #ended: string | undefined;
  #termSent = false;

  constructor(child: SpawnedChild, parts: ProcessParts) {
    this.pid = child.pid;
    this.argv = parts.argv;
    this.title = parts.title;
    this.extra = child.extra;
    this.#child = child;
    this.#signal = parts.signal;
    this.#killGraceMs = parts.killGraceMs ?? KILL_GRACE_MS;
    this.#head = parts.keepStderr && child.stderr !== undefined ? new StderrHead(child.stderr) : undefined;
    // Whoever writes learns of a reader that left from its write; nobody may be surprised by the event.
    for (const stream of [child.stdin, child.stdout, ...child.extra]) stream?.on('error', () => {});
    if (!parts.keepStderr) child.stderr?.on('error', () => {});
    this.exited = this.#watch(parts);
    if (parts.signal?.aborted === true) this.#onAbort();
    else parts.signal?.addEventListener('abort', this.#onAbort, { once: true });
  }

  /** Whether the process was told to end, by an abort or by {@link kill}. */
  get isEnding(): boolean {
    return this.#termSent;
  }

  /** @throws when the process was started without `stdin: 'pipe'`. */
  get stdin(): Writable {
    return present(this.#child.stdin, 'stdin');
  }

  /** @throws when the process was started with another standard output than `pipe`. */
  get stdout(): Readable {
    return present(this.#child.stdout, 'stdout');
  }

  /** The stream itself, when the process was started with `stderr: 'pipe'`. @throws otherwise. */
  get stderrStream(): Readable {
    return present(this.#head === undefined ? this.#child.stderr : undefined, 'stderr');
  }

  /** The head of standard error so far, at most 10,000 bytes (the rest is read and dropped). Complete once `exited` resolves. */
  get stderrHead(): Buffer {
    return this.#head?.bytes() ?? Buffer.alloc(0);
  }

  /** {@link stderrHead} as text. */
  stderr(): string {
    return this.stderrHead.toString();
  }

  /** Waits for the end. @throws {GitExitError} unless the exit code is 0. */
  async succeeded(): Promise<void> {
    const exit = await this.exited;
    if (exit.code !== 0) throw this.exitError(exit);
  }

  /** The error that says how the process ended. */
  exitError(exit: GitExit): GitExitError {
    return new GitExitError(this.argv, exit, this.stderr());
  }

  /** Asks the process group to end (SIGTERM), and kills what is left of it after the grace. Returns at once. */
  kill(): void {
    this.#end(undefined);
  }

  /** Ends the process if it still runs, and waits until it is gone. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#reaped) this.kill();
    this.#destroyStreams();
    await this.exited;
  }

  #end(reason: string | undefined): void {
    if (this.#reaped || this.#termSent) return;
    this.#termSent = true;
    this.#ended = reason;
    // A process that is stuck in a write or a read wakes up by this, whatever it does about the signal.
    this.#destroyStreams();
    this.#signalGroup('SIGTERM');
    this.#killLater(performance.now() + this.#killGraceMs);
  }

  /**
   * Looks after the group until nothing of it is left. Its number cannot be given to someone else while a member lives, and the
   * looking stops when none does.
   */
  #killLater(deadline: number): void {
    const left = deadline - performance.now();
    if (left <= 0) {
      this.#signalGroup('SIGKILL');
      return;
    }
    // Held by the event loop on purpose only through the child itself; the rest of a group must not keep us alive.
    setTimeout(
      () => {
        if (!this.#reaped || this.#signalGroup(0)) this.#killLater(deadline);
      },
      Math.min(left, GROUP_CHECK_MS),
    ).unref();
  }

  /** Somebody else killed the process (the kernel, for lack of memory): what it started does not end by itself, and may hold its pipes. */
  #endOrphans(): void {
    if (this.#signalGroup('SIGTERM')) this.#killLater(performance.now() + this.#killGraceMs);
  }

  /** Whether the group still has a member. */
  #signalGroup(signal: NodeJS.Signals | 0): boolean {
    try {
      return process.kill(-this.pid, signal);
    } catch {
      // ESRCH: nothing left to end. EPERM (a member changed its user): not ours any more.
      return false;
    }
  }

  #destroyStreams(): void {
    this.#child.stdin?.destroy();
    this.#child.stdout?.destroy();
    for (const socket of this.extra) socket.destroy();
    if (this.#head === undefined) this.#child.stderr?.destroy();
  }

  async #watch(parts: ProcessParts): Promise<GitExit> {
    const exit = await this.#child.exited;
    this.#reaped = true;
    if (exit.signal !== undefined && !this.#termSent) this.#endOrphans();
    this.#signal?.removeEventListener('abort', this.#onAbort);
    const realMs = performance.now() - parts.startedAt;
    await this.#head?.complete(STDERR_LINGER_MS);
    const result: GitExit = { ...exit, realMs, ended: this.#ended };
    parts.onExit(this, result);
    return result;
  }
}

function present<T>(stream: T | undefined, name: string): T {
  if (stream === undefined) throw new Error(`the process was started without a pipe for ${name}`);
  return stream;
}
