/**
 * Preloaded into a server (`node --import`): makes the n-th system call of a kind fail, as the
 * kernel would, without changes to the server. The test arms it with a message {@link Order}; the
 * response is a {@link Report} of what happened since the last one.
 */
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import koffi from 'koffi';

/** Kinds of counted calls, each with the error of a machine without resources or with a defect. */
export type FaultKind = keyof typeof ERRORS;

const ERRORS = {
  /** Starting a process. */
  start: ['EAGAIN', 11],
  /** Any call that needs a descriptor. */
  descriptor: ['EMFILE', 24],
  /** Creating a file or a directory. */
  create: ['ENOSPC', 28],
  write: ['ENOSPC', 28],
  flush: ['EIO', 5],
  /** Renaming and linking, from the n-th on: a file that cannot be linked is renamed. */
  move: ['EIO', 5],
  /** Creating and writing, from the n-th on. */
  'full disk': ['ENOSPC', 28],
} as const;
const LASTING: readonly FaultKind[] = ['move', 'full disk'];

export interface Order {
  /** Without a kind nothing fails. */
  readonly kind?: FaultKind;
  /** The first is 1. */
  readonly nth?: number;
}

export interface Report {
  /** Number of calls of the kind. */
  readonly count: number;
  /** Failed calls and their callers. */
  readonly failed: readonly string[];
}

let order: Order = {};
let count = 0;
let failed: string[] = [];

process.on('message', (next: Order) => {
  const report: Report = { count, failed };
  [order, count, failed] = [next, 0, []];
  process.send?.(report);
});
process.channel?.unref();

/** Returns the error for a call that must fail. */
function fault(kinds: readonly FaultKind[], name: string): NodeJS.ErrnoException | undefined {
  const { kind, nth = 0 } = order;
  if (kind === undefined || !kinds.includes(kind)) return undefined;
  count++;
  if (LASTING.includes(kind) ? count < nth : count !== nth) return undefined;
  const stack = new Error(name).stack?.split('\n').filter((line) => line.includes('/src/')) ?? [];
  failed.push([name, ...stack.slice(0, 4)].join('\n'));
  const [code, errno] = ERRORS[kind];
  return Object.assign(new Error(`${code}: injected, ${name}`), { code, errno: -errno, syscall: name });
}

const CREATE: readonly FaultKind[] = ['create', 'full disk', 'descriptor'];
const OPEN: readonly FaultKind[] = ['descriptor'];
const WRITE: readonly FaultKind[] = ['write', 'full disk'];
const DIRECTORY: readonly FaultKind[] = ['create', 'full disk'];
const FLUSH: readonly FaultKind[] = ['flush'];
const MOVE: readonly FaultKind[] = ['move'];

type Kinds = (args: readonly unknown[]) => readonly FaultKind[];
const always =
  (kinds: readonly FaultKind[]): Kinds =>
  () =>
    kinds;
const byFlags: Kinds = ([, flags = 'r']) => (isWriting(flags) ? CREATE : OPEN);
/** Standard output and error are the server's log. */
const byDescriptor: Kinds = ([fd]) => (fd === 1 || fd === 2 ? [] : WRITE);

const CALLS: Readonly<Record<string, Kinds>> = {
  open: byFlags,
  opendir: always(OPEN),
  readdir: always(OPEN),
  mkdir: always(DIRECTORY),
  mkdtemp: always(DIRECTORY),
  write: byDescriptor,
  writev: byDescriptor,
  writeFile: always(CREATE),
  copyFile: always(CREATE),
  symlink: always(DIRECTORY),
  fsync: always(FLUSH),
  fdatasync: always(FLUSH),
  rename: always(MOVE),
  link: always(MOVE),
};

function isWriting(flags: unknown): boolean {
  return typeof flags === 'number'
    ? (flags & fs.constants.O_CREAT) !== 0
    : typeof flags === 'string' && /[wa]/.test(flags);
}

type Call = (...args: unknown[]) => unknown;
/** Form in which a failure is reported: thrown, as a rejection, or through the last argument. */
type Manner = 'sync' | 'promise' | 'callback';

function wrap(owner: object, name: string, kinds: Kinds, manner: Manner): void {
  const original: unknown = Reflect.get(owner, name);
  if (typeof original !== 'function') return;
  const wrapped: Call = function (this: unknown, ...args) {
    const error = fault(kinds(args), `${name} ${typeof args[0] === 'string' ? args[0] : ''}`.trim());
    if (error === undefined) return Reflect.apply(original, this, args);
    if (manner === 'sync') throw error;
    if (manner === 'promise') return Promise.reject(error);
    const callback = args.at(-1);
    if (typeof callback === 'function') process.nextTick(() => callback(error));
    return undefined;
  };
  Reflect.set(owner, name, Object.assign(wrapped, original));
}

for (const [name, kinds] of Object.entries(CALLS)) {
  wrap(fs, `${name}Sync`, kinds, 'sync');
  wrap(fs, name, kinds, 'callback');
  wrap(fs.promises, name, kinds, 'promise');
}

const handle = await fs.promises.open('/dev/null');
const handles: object = Object.getPrototypeOf(handle);
await handle.close();
for (const name of ['write', 'writev', 'writeFile', 'appendFile'])
  wrap(handles, name, always(WRITE), 'promise');
for (const name of ['sync', 'datasync']) wrap(handles, name, always(FLUSH), 'promise');
syncBuiltinESMExports();

/** Functions of the C library that the server calls directly. */
const C_CALLS: Readonly<Record<string, { readonly kinds: readonly FaultKind[]; readonly result: number }>> = {
  posix_spawn: { kinds: ['start'], result: ERRORS.start[1] },
  pipe2: { kinds: OPEN, result: -1 },
  socketpair: { kinds: OPEN, result: -1 },
};

const load = koffi.load;
koffi.load = (...args) => {
  const library = load(...args);
  const find = library.func;
  const findCounted: Call = (...definition) => {
    const original = Reflect.apply(find, library, definition);
    const [, name = ''] = /(\w+)\(/.exec(String(definition[0])) ?? [];
    const counted = C_CALLS[name];
    if (counted === undefined) return original;
    return (...values: unknown[]) =>
      fault(counted.kinds, name) === undefined ? original(...values) : counted.result;
  };
  Object.defineProperty(library, 'func', { value: findCounted });
  return library;
};
