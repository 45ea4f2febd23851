import { openSync } from 'node:fs';
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { getSystemErrorName } from 'node:util';
import { moveToGroup, throughShell } from './join-group.ts';
import { type Libc, loadLibc } from './libc.ts';
import { Reaper } from './reaper.ts';
import {
  type ChildStream,
  SpawnError,
  type SpawnedChild,
  type Spawner,
  type SpawnRequest,
} from './spawner.ts';
import { cString, stringVector } from './string-vector.ts';

// Linux, all architectures.
const O_CLOEXEC = 0o2000000;
const AF_UNIX = 1;
const SOCK_STREAM = 1;
const SOCK_CLOEXEC = 0o2000000;
const F_DUPFD_CLOEXEC = 1030;
const F_SETPIPE_SZ = 1031;
/** Own process group, default dispositions, the given signal mask. */
const SPAWN_FLAGS = 0x02 | 0x04 | 0x08;

/** `POSIX_SPAWN_SETCGROUP`: the child starts in the control group of a descriptor. */
const SPAWN_IN_GROUP = 0x100;
/**
 * The kernel or a sandbox lacks `clone3`, or the group refuses new processes that start this way.
 */
const NO_START_IN_GROUP = new Set(['ENOSYS', 'EOPNOTSUPP', 'EINVAL', 'EPERM', 'EACCES', 'EBUSY']);

/** Larger than these structures of any C library (glibc: 80 and 336 bytes). */
const STRUCT_BYTES = 1024;
/** A `sigset_t`; the bits of an empty one are all zero. */
const SIGSET_BYTES = 128;

/**
 * Descriptors of one start: the child's ends are closed right after it, and ours too if it failed.
 */
interface Plumbing {
  /** Source and target of the child's descriptors. */
  readonly moves: { from: number; readonly to: number }[];
  readonly childEnds: number[];
  readonly ourEnds: Map<number, number>;
}

/**
 * Returns a spawner that uses `posix_spawn` by FFI: the parent's memory is not copied, so the cost
 * of a start does not depend on the server's size. Linux only; README.md has the reasons and
 * figures.
 *
 * @throws when FFI or the C library lacks a required function.
 */
export function createPosixSpawner(): Spawner {
  if (process.platform !== 'linux') throw new Error(`posix_spawn by FFI is not used on ${process.platform}`);
  const libc = loadLibc();
  const reaper = new Reaper(libc);
  const attributes = createAttributes(libc);
  const devNull = openSync('/dev/null', 'r+');
  const tools = { libc, reaper, attributes, devNull };
  let startsInGroup = libc.attributesSetGroup !== undefined;
  return {
    name: 'posix_spawn',
    spawn: (request) => {
      const { controlGroup } = request;
      if (controlGroup === undefined) return spawnChild(request, tools);
      if (startsInGroup && controlGroup.fd !== undefined) {
        try {
          return spawnChild(request, { ...tools, attributes: createAttributes(libc, controlGroup.fd) });
        } catch (error) {
          if (!(error instanceof SpawnError) || !NO_START_IN_GROUP.has(error.code)) throw error;
          startsInGroup = false;
        }
      }
      if (request.startsNone !== true) return spawnChild(throughShell(request, controlGroup), tools);
      const child = spawnChild(request, tools);
      moveToGroup(child.pid, controlGroup);
      return child;
    },
  };
}

interface Tools {
  readonly libc: Libc;
  readonly reaper: Reaper;
  readonly attributes: Buffer;
  readonly devNull: number;
}

/** @param groupFd descriptor of the control group in which the child starts. */
function createAttributes(libc: Libc, groupFd?: number): Buffer {
  const attributes = Buffer.alloc(STRUCT_BYTES);
  libc.attributesInit(attributes);
  libc.attributesSetFlags(attributes, groupFd === undefined ? SPAWN_FLAGS : SPAWN_FLAGS | SPAWN_IN_GROUP);
  if (groupFd !== undefined) libc.attributesSetGroup?.(attributes, groupFd);
  libc.attributesSetSigmask(attributes, Buffer.alloc(SIGSET_BYTES));
  // All bits, instead of sigfillset: that omits the C library's two internal signals, which the
  // child would then ignore.
  libc.attributesSetSigdefault(attributes, Buffer.alloc(SIGSET_BYTES, 0xff));
  return attributes;
}

function spawnChild(request: SpawnRequest, { libc, reaper, attributes, devNull }: Tools): SpawnedChild {
  const plumbing: Plumbing = { moves: [], childEnds: [], ourEnds: new Map() };
  const actions = Buffer.alloc(STRUCT_BYTES);
  libc.actionsInit(actions);
  try {
    plumb(libc, request, plumbing, devNull);
    layOutActions(libc, request, plumbing, actions);
    const pid = new Int32Array(1);
    const argv = stringVector(request.argv, libc.addressOf);
    const env = stringVector(Object.entries(request.env).map(variable), libc.addressOf);
    const errno = libc.posixSpawn(pid, cString(request.file), actions, attributes, argv, env);
    if (errno !== 0) throw new SpawnError(request.file, getSystemErrorName(-errno));
    return adopt(pid[0] ?? 0, request, plumbing, reaper);
  } catch (error) {
    for (const fd of plumbing.ourEnds.values()) libc.close(fd);
    throw error;
  } finally {
    for (const fd of plumbing.childEnds) libc.close(fd);
    libc.actionsDestroy(actions);
  }
}

/**
 * Creates the pipes and sockets of a child, all close-on-exec. Pipes are used because `>
 * /dev/stderr` fails on a socket.
 */
function plumb(libc: Libc, request: SpawnRequest, plumbing: Plumbing, devNull: number): void {
  const standard: ChildStream[] = [request.stdin, request.stdout, request.stderr];
  for (const [to, stream] of standard.entries()) {
    if (stream === 'pipe') {
      const [readEnd, writeEnd] = pair(request.file, (fds) => libc.pipe2(fds, O_CLOEXEC));
      // If the kernel refuses the size, the pipe is unchanged.
      if (request.pipeBytes !== undefined && to !== 2) libc.fcntl(readEnd, F_SETPIPE_SZ, request.pipeBytes);
      connect(plumbing, to, to === 0 ? readEnd : writeEnd, to === 0 ? writeEnd : readEnd);
    } else {
      plumbing.moves.push({ from: stream === 'ignore' ? devNull : stream, to });
    }
  }
  for (let index = 0; index < request.extraPipes; index++) {
    const [theirs, ours] = pair(request.file, (fds) =>
      libc.socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds),
    );
    connect(plumbing, 3 + index, theirs, ours);
  }
}

function connect(plumbing: Plumbing, to: number, theirs: number, ours: number): void {
  plumbing.childEnds.push(theirs);
  plumbing.moves.push({ from: theirs, to });
  plumbing.ourEnds.set(to, ours);
}

/**
 * Creates a pair of descriptors. @throws {SpawnError} EMFILE: in practice the only reason, and
 * `errno` may have changed before we could read it.
 */
function pair(file: string, make: (fds: Int32Array) => number): [number, number] {
  const fds = new Int32Array(2);
  if (make(fds) !== 0) throw new SpawnError(file, 'EMFILE');
  return [fds[0] ?? -1, fds[1] ?? -1];
}

function layOutActions(libc: Libc, request: SpawnRequest, plumbing: Plumbing, actions: Buffer): void {
  const count = 3 + request.extraPipes;
  for (const move of plumbing.moves) {
    // A source among the targets would be overwritten before its turn, so it is duplicated first.
    if (move.from < count && move.from !== move.to) {
      const copy = libc.fcntl(move.from, F_DUPFD_CLOEXEC, count);
      if (copy === -1) throw new SpawnError(request.file, 'EMFILE');
      plumbing.childEnds.push(copy);
      move.from = copy;
    }
  }
  for (const { from, to } of plumbing.moves) check(request.file, libc.actionsDup2(actions, from, to));
  if (libc.actionsCloseFrom !== undefined) check(request.file, libc.actionsCloseFrom(actions, count));
  if (request.cwd !== undefined) check(request.file, libc.actionsChdir(actions, cString(request.cwd)));
}

function check(file: string, errno: number): void {
  if (errno !== 0) throw new SpawnError(file, getSystemErrorName(-errno));
}

function variable([key, value]: [string, string | Uint8Array]): string | Buffer {
  return typeof value === 'string' ? `${key}=${value}` : Buffer.concat([Buffer.from(`${key}=`), value]);
}

/**
 * Wraps our ends in streams and waits for the child. From here on the streams own the descriptors.
 */
function adopt(pid: number, request: SpawnRequest, { ourEnds }: Plumbing, reaper: Reaper): SpawnedChild {
  const exited = reaper.wait(pid);
  const open = (to: number, readable: boolean, writable: boolean): Socket | undefined => {
    const fd = ourEnds.get(to);
    if (fd === undefined) return undefined;
    ourEnds.delete(to);
    return new Socket({ fd, readable, writable, allowHalfOpen: true });
  };
  const extra: Duplex[] = [];
  for (let index = 0; index < request.extraPipes; index++) {
    const socket = open(3 + index, true, true);
    if (socket !== undefined) extra.push(socket);
  }
  return {
    pid,
    stdin: open(0, false, true),
    stdout: open(1, true, false),
    stderr: open(2, true, false),
    extra,
    exited,
  };
}
