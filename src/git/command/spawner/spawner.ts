import type { Duplex, Writable } from 'node:stream';
import type { ByteStream } from '#base/streams/byte-stream';

/** One word of a command line or one value of an environment. Bytes are passed on unchanged. */
export type Arg = string | Uint8Array;

/**
 * Target of a standard stream: a stream of ours, `/dev/null`, or a descriptor that we continue to
 * own.
 */
export type ChildStream = 'pipe' | 'ignore' | number;

/** A control group of the kernel, which a child joins before its program runs. */
export interface ControlGroup {
  /** Directories of the group, one for each hierarchy. */
  readonly directories: readonly string[];
  /** Descriptor of the directory, if the kernel may be able to start a process in it (version 2). */
  readonly fd: number | undefined;
  /** Name of the group in the log. */
  readonly path: string;
}

export interface SpawnRequest {
  /** Absolute path of the executable, without a shell or a search path. */
  readonly file: string;
  /** The whole argument vector including `argv[0]`, without NUL bytes (checked by the caller). */
  readonly argv: readonly Arg[];
  /** The whole environment; nothing is inherited. */
  readonly env: Readonly<Record<string, Arg>>;
  readonly cwd?: string | undefined;
  readonly stdin: ChildStream;
  readonly stdout: ChildStream;
  readonly stderr: ChildStream;
  /** Number of two-way sockets that the child gets as descriptors 3, 4, … */
  readonly extraPipes: number;
  /** Size of the pipes of standard input and output; default: the system's size (64 KiB). */
  readonly pipeBytes?: number | undefined;
  readonly controlGroup?: ControlGroup | undefined;
  /**
   * True if the program starts no other process. It may then join its control group just after its
   * start, which is cheaper.
   */
  readonly startsNone?: boolean | undefined;
}

/**
 * Resource usage of a child as counted by the kernel. Only spawners that can call `wait4` provide
 * it.
 */
export interface ResourceUsage {
  readonly userMs: number;
  readonly systemMs: number;
  readonly maxRssKilobytes: number;
  readonly minorFaults: number;
  readonly majorFaults: number;
  readonly blocksIn: number;
  readonly blocksOut: number;
  readonly signals: number;
  readonly voluntarySwitches: number;
  readonly involuntarySwitches: number;
}

/** The exit of a child: an exit code or the name of the signal (`SIGTERM`), never both. */
export interface ChildExit {
  readonly code: number | undefined;
  readonly signal: NodeJS.Signals | undefined;
  readonly usage: ResourceUsage | undefined;
}

/** A started child, which leads its own process group. */
export interface SpawnedChild {
  readonly pid: number;
  readonly stdin: Writable | undefined;
  readonly stdout: ByteStream | undefined;
  readonly stderr: ByteStream | undefined;
  readonly extra: readonly Duplex[];
  /** Resolves once the child has been reaped. Never rejects. */
  readonly exited: Promise<ChildExit>;
}

/**
 * The interface for starting processes. The implementation is chosen once (see README.md in this
 * folder).
 */
export interface Spawner {
  readonly name: 'posix_spawn' | 'child_process';
  /** Reason why the faster spawner is not used. */
  readonly fallbackReason?: string | undefined;
  /**
   * Starts a child synchronously, with the default signal mask and dispositions, and with only the
   * requested descriptors.
   *
   * @throws {SpawnError} when the kernel refuses.
   */
  spawn(request: SpawnRequest): SpawnedChild;
}

/**
 * The kernel refused to start a program. The text has the usual form: `fork/exec <file>: no such
 * file or directory`.
 */
export class SpawnError extends Error {
  override readonly name = 'SpawnError';
  /** `ENOENT`, `EACCES`, `EAGAIN` … */
  readonly code: string;

  constructor(file: string, code: string) {
    super(`fork/exec ${file}: ${REASONS[code] ?? code}`);
    this.code = code;
  }
}

const REASONS: Readonly<Record<string, string>> = {
  E2BIG: 'argument list too long',
  EACCES: 'permission denied',
  EAGAIN: 'resource temporarily unavailable',
  EMFILE: 'too many open files',
  ENFILE: 'too many open files in system',
  ENOENT: 'no such file or directory',
  ENOEXEC: 'exec format error',
  ENOMEM: 'cannot allocate memory',
  ENOTDIR: 'not a directory',
  EPERM: 'operation not permitted',
  ETXTBSY: 'text file busy',
};
