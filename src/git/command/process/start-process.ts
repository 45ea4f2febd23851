import { getPriority, setPriority } from 'node:os';
import { GitalyError } from '#base/gitaly-error';
import type { ReferenceBackend } from '#git/repository-files/repository-format';
import type { Arg, ChildStream, ControlGroup, Spawner, SpawnRequest } from '../spawner/spawner.ts';
import { abortError, type GitExit } from './exit-error.ts';
import { GitProcess } from './git-process.ts';

/** Facts about a process at its start. */
export interface ProcessStart {
  /** `git`, or the base name of another program. */
  readonly program: string;
  /** Git's subcommand; empty for other programs. */
  readonly subcommand: string;
  readonly argv: readonly Arg[];
  readonly pid: number;
  /** Time for which the start blocked the event loop. */
  readonly forkMs: number;
  /** Git directory of the command. */
  readonly repositoryPath: string | undefined;
  /** The control group that the process was started in. */
  readonly controlGroupPath: string | undefined;
  /** Storage of the repository's references; `undefined` if it is not known. */
  readonly referenceBackend?: ReferenceBackend | undefined;
}

/** Facts about a process after its end. `stderrHead` is not empty if there is something to log. */
export interface ProcessStats extends ProcessStart {
  readonly exit: GitExit;
  /** True if it died of a signal that we sent. */
  readonly wasKilled: boolean;
  readonly stderrHead: Buffer;
}

/**
 * Called for every start, synchronously and in the asynchronous context of the caller (so that the
 * request can be found). May return a function that is called at the end.
 */
export type ProcessObserver = (start: ProcessStart) => ((stats: ProcessStats) => void) | undefined;

export interface ProcessOptions {
  /** Ends the process group when aborted. If it is already aborted, nothing is started. */
  readonly signal?: AbortSignal | undefined;
  /**
   * Default `ignore` (`/dev/null`). A number is a descriptor of ours that the process uses; we keep
   * owning it.
   */
  readonly stdin?: ChildStream;
  /** Default `pipe`. */
  readonly stdout?: ChildStream;
  /**
   * Default `head`: the first 10,000 bytes are kept. With `pipe` the caller reads `stderrStream`.
   */
  readonly stderr?: ChildStream | 'head';
  /** Number of two-way sockets, descriptors 3, 4, … of the process. */
  readonly extraPipes?: number;
  /** Time for the process group to end before it is killed. Default 10 s. */
  readonly killGraceMs?: number | undefined;
  /** Limit of CPU time in seconds; a process that exceeds it ends with RESOURCE_EXHAUSTED. */
  readonly maxCpuSeconds?: number | undefined;
  /** Size of larger pipes for standard input and output, for bulk data. */
  readonly pipeBytes?: number | undefined;
}

export interface StartProcessOptions extends ProcessOptions {
  readonly spawner: Spawner;
  readonly file: string;
  readonly argv: readonly Arg[];
  readonly env: Readonly<Record<string, Arg>>;
  /** Default: `/`. This process's own one may be gone, and git does not start without one. */
  readonly cwd?: string | undefined;
  readonly program: string;
  readonly subcommand: string;
  readonly repositoryPath: string | undefined;
  readonly controlGroup?: ControlGroup | undefined;
  readonly startsNone?: boolean;
  /** True if it runs with a lower priority. */
  readonly yields?: boolean;
  /** Storage of the repository's references; `undefined` if it is not known. */
  readonly referenceBackend?: ReferenceBackend | undefined;
  readonly observers: readonly ProcessObserver[];
}

/**
 * Starts a process and supervises it.
 *
 * @throws {GitalyError} CANCELLED or DEADLINE_EXCEEDED when the signal is already aborted;
 *   {SpawnError} when the kernel refuses.
 */
export function startProcess(options: StartProcessOptions): GitProcess {
  const { signal, argv, stderr = 'head' } = options;
  if (signal?.aborted === true) throw abortError(signal);
  for (const value of Object.values(options.env)) checkEnvironment(value);
  const request: SpawnRequest = {
    file: options.file,
    argv,
    env: options.env,
    cwd: options.cwd ?? '/',
    stdin: options.stdin ?? 'ignore',
    stdout: options.stdout ?? 'pipe',
    stderr: stderr === 'head' ? 'pipe' : stderr,
    extraPipes: options.extraPipes ?? 0,
    pipeBytes: options.pipeBytes,
    controlGroup: options.controlGroup,
    startsNone: options.startsNone,
  };
  const startedAt = performance.now();
  const child = options.spawner.spawn(request);
  if (options.yields === true) lowerPriority(child.pid);
  const start: ProcessStart = {
    program: options.program,
    subcommand: options.subcommand,
    argv,
    pid: child.pid,
    forkMs: performance.now() - startedAt,
    repositoryPath: options.repositoryPath,
    controlGroupPath: options.controlGroup?.path,
    referenceBackend: options.referenceBackend,
  };
  const finishers = options.observers
    .map((observe) => observe(start))
    .filter((finish) => finish !== undefined);
  const onExit = (process: GitProcess, exit: GitExit): void => {
    const wasKilled = process.isEnding && exit.signal !== undefined;
    for (const finish of finishers) finish({ ...start, exit, wasKilled, stderrHead: process.stderrHead });
  };
  const title = options.subcommand === '' ? options.program : `${options.program} ${options.subcommand}`;
  const process = new GitProcess(child, {
    argv,
    startedAt,
    title,
    signal,
    keepStderr: stderr === 'head',
    killGraceMs: options.killGraceMs,
    onExit,
  });
  if (options.maxCpuSeconds !== undefined) process.limitCpu(options.maxCpuSeconds);
  return process;
}

/** Checks a value: the kernel would truncate it at a NUL. */
function checkEnvironment(value: Arg): void {
  const holdsNul = typeof value === 'string' ? value.includes('\0') : value.includes(0);
  if (holdsNul) throw new GitalyError('UNKNOWN', 'exec: environment variable contains NUL');
}

/**
 * Difference to our own niceness. The process gets a tenth of the share of another one while both
 * use the same processor, so it still makes progress, and all of it when it is free.
 */
const STEPS = 10;
const MAX_NICENESS = 19;

/**
 * Lowers the priority of a process that was just started, and of the processes that it will start.
 */
function lowerPriority(pid: number): void {
  try {
    setPriority(pid, Math.min(getPriority() + STEPS, MAX_NICENESS));
  } catch {
    // The process has ended, or a sandbox forbids the call; then it keeps its priority.
  }
}
