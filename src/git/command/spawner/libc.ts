import { attempt } from '#base/attempt';
import { loadCLibrary } from '#base/c-library';

/**
 * The C library's functions for starting and reaping a process, by FFI. `Buffer` represents any
 * pointer to our memory. Functions return what C returns: `posix_spawn*` an error number, the
 * others -1.
 */
export interface Libc {
  readonly pipe2: (fds: Int32Array, flags: number) => number;
  readonly socketpair: (domain: number, type: number, protocol: number, fds: Int32Array) => number;
  readonly close: (fd: number) => number;
  /** `fcntl` with an integer argument. */
  readonly fcntl: (fd: number, command: number, argument: number) => number;
  readonly wait4: (pid: number, status: Int32Array, options: number, usage: BigInt64Array) => number;
  readonly posixSpawn: (
    pid: Int32Array,
    path: Buffer,
    actions: Buffer,
    attributes: Buffer,
    argv: Buffer,
    env: Buffer,
  ) => number;
  readonly actionsInit: (actions: Buffer) => number;
  readonly actionsDestroy: (actions: Buffer) => number;
  readonly actionsDup2: (actions: Buffer, fd: number, target: number) => number;
  readonly actionsChdir: (actions: Buffer, path: Buffer) => number;
  /**
   * Missing in C libraries older than glibc 2.34; then our inherited descriptors are passed on.
   */
  readonly actionsCloseFrom: ((actions: Buffer, from: number) => number) | undefined;
  readonly attributesInit: (attributes: Buffer) => number;
  readonly attributesSetFlags: (attributes: Buffer, flags: number) => number;
  readonly attributesSetSigmask: (attributes: Buffer, mask: Buffer) => number;
  readonly attributesSetSigdefault: (attributes: Buffer, set: Buffer) => number;
  /** Missing in C libraries older than glibc 2.39. */
  readonly attributesSetGroup: ((attributes: Buffer, fd: number) => number) | undefined;
  /** Missing in musl. Runs in a thread. Returns 1 if it has returned memory to the system. */
  readonly mallocTrim: ((keptBytes: number) => Promise<number>) | undefined;
  /** Returns the address of a buffer's memory, which is constant while the buffer lives. */
  readonly addressOf: (memory: Buffer) => bigint;
}

/**
 * Looks up the functions.
 *
 * @throws when koffi or one of the functions is missing.
 */
export function loadLibc(): Libc {
  const { find, findAsync, addressOf } = loadCLibrary();
  return {
    pipe2: find('int pipe2(void *fds, int flags)'),
    socketpair: find('int socketpair(int domain, int type, int protocol, void *fds)'),
    close: find('int close(int fd)'),
    fcntl: find('int fcntl(int fd, int command, int argument)'),
    wait4: find('int wait4(int pid, void *status, int options, void *usage)'),
    posixSpawn: find(
      'int posix_spawn(void *pid, void *path, void *actions, void *attributes, void *argv, void *env)',
    ),
    actionsInit: find('int posix_spawn_file_actions_init(void *actions)'),
    actionsDestroy: find('int posix_spawn_file_actions_destroy(void *actions)'),
    actionsDup2: find('int posix_spawn_file_actions_adddup2(void *actions, int fd, int target)'),
    actionsChdir: find('int posix_spawn_file_actions_addchdir_np(void *actions, void *path)'),
    actionsCloseFrom: optional(() =>
      find('int posix_spawn_file_actions_addclosefrom_np(void *actions, int from)'),
    ),
    attributesInit: find('int posix_spawnattr_init(void *attributes)'),
    attributesSetFlags: find('int posix_spawnattr_setflags(void *attributes, short flags)'),
    attributesSetSigmask: find('int posix_spawnattr_setsigmask(void *attributes, void *mask)'),
    attributesSetSigdefault: find('int posix_spawnattr_setsigdefault(void *attributes, void *set)'),
    attributesSetGroup: optional(() => find('int posix_spawnattr_setcgroup_np(void *attributes, int fd)')),
    mallocTrim: optional(() => findAsync('int malloc_trim(size_t kept)')),
    addressOf,
  };
}

function optional<T>(find: () => T): T | undefined {
  // On failure: this C library lacks it; the caller does without.
  return attempt(() => find());
}
