import { closeSync, readFileSync, readlinkSync } from 'node:fs';
import { Socket } from 'node:net';
import { endianness } from 'node:os';
import { attempt } from '#base/attempt';
import { JsonFields } from '#base/json-fields';
import type { SocketName, SocketRole, TakeSocket } from './listening-socket.ts';

/** Variable with the descriptors for a successor, as JSON: see {@link InheritedVariable}. */
export const INHERITED_VARIABLE = 'GITALY_TS_INHERITED';

/** First descriptor that systemd passes. */
const FIRST_LISTEN_FD = 3;
/** Limit of `LISTEN_FDS`, far above the number of our addresses. */
const MAX_LISTEN_FDS = 64;

/** Content of the variable for the successor. */
export interface InheritedVariable {
  /** A socket to the predecessor, for the message that this process is ready. */
  readonly control: number;
  readonly sockets: readonly { readonly name: string; readonly fd: number; readonly keepsFile: boolean }[];
}

interface Available {
  readonly fd: number;
  readonly keepsFile: boolean;
  /** Addresses that it is for. */
  readonly names: ReadonlySet<string>;
  /** Name given by systemd; empty for sockets of a predecessor. */
  readonly givenName: string;
}

export interface Predecessor {
  /** Reports that this process accepts calls, on the sockets it has taken; the predecessor stops. */
  ready(): void;
  /** False once the predecessor has ended. */
  readonly isRunning: boolean;
  /** Resolves when the predecessor has ended. */
  readonly ended: Promise<void>;
}

/**
 * The listening sockets that this process got from its predecessor, or from systemd by socket
 * activation (`LISTEN_PID`, `LISTEN_FDS`, `LISTEN_FDNAMES`). The variables are removed from the
 * environment, so that no child takes them for its own.
 */
export class InheritedSockets {
  readonly #available: Available[];
  readonly #taken: SocketName[] = [];
  #isOver = false;
  /** `undefined` when this process was not started by a predecessor. */
  readonly predecessor: Predecessor | undefined;

  private constructor(available: Available[], control: number | undefined) {
    this.#available = available;
    this.#isOver = control === undefined;
    this.predecessor = control === undefined ? undefined : this.#predecessorAt(control);
  }

  /** @throws {Error} if the variables are malformed. */
  static fromEnvironment(env: NodeJS.ProcessEnv = process.env): InheritedSockets {
    const { [INHERITED_VARIABLE]: inherited, LISTEN_PID, LISTEN_FDS, LISTEN_FDNAMES } = env;
    for (const name of [INHERITED_VARIABLE, 'LISTEN_PID', 'LISTEN_FDS', 'LISTEN_FDNAMES']) delete env[name];
    if (inherited !== undefined) {
      const { sockets, control } = fromPredecessor(inherited);
      return new InheritedSockets(sockets, control);
    }
    // systemd sets the pid; of another one the variables are not meant for us.
    if (LISTEN_FDS === undefined || LISTEN_PID !== String(process.pid))
      return new InheritedSockets([], undefined);
    return new InheritedSockets(fromSystemd(LISTEN_FDS, LISTEN_FDNAMES ?? ''), undefined);
  }

  /** Returns the socket for an address: by the role that systemd's name gives, or by the address. */
  readonly take: TakeSocket = (name, role) => {
    const index = this.#available.findIndex((each) => isFor(each, name, role));
    const [socket] = index === -1 ? [] : this.#available.splice(index, 1);
    if (socket === undefined) return undefined;
    this.#taken.push(name);
    const isOver = (): boolean => this.#isOver;
    return {
      fd: socket.fd,
      get keepsFile() {
        return socket.keepsFile || !isOver();
      },
    };
  };

  /** Closes the sockets that no address has taken, and returns their addresses. */
  closeRest(): string[] {
    const rest = this.#available.splice(0);
    for (const { fd } of rest) closeSync(fd);
    return rest.map(
      ({ fd, names, givenName }) => [...names, givenName].find((name) => name !== '') ?? `${fd}`,
    );
  }

  /** The socket stays open, because each end detects by it that the other process has ended. */
  #predecessorAt(fd: number): Predecessor {
    const control = new Socket({ fd, readable: true, writable: true });
    const state = { isRunning: true };
    const { promise: ended, resolve } = Promise.withResolvers<void>();
    control.on('error', () => {}); // the predecessor has ended
    control.on('close', () => {
      state.isRunning = false;
      resolve();
    });
    control.resume();
    control.unref();
    return {
      ready: () => {
        this.#isOver = true;
        control.write(`${JSON.stringify({ ready: true, taken: this.#taken })}\n`);
      },
      get isRunning() {
        return state.isRunning;
      },
      ended,
    };
  }
}

const ROLES: readonly string[] = ['unix', 'tcp', 'tls', 'metrics'] satisfies SocketRole[];

function isFor({ names, givenName }: Available, name: SocketName, role: SocketRole): boolean {
  return ROLES.includes(givenName) ? givenName === role : names.has(name);
}

function fromPredecessor(text: string): { sockets: Available[]; control: number } {
  const fields = JsonFields.parse(text);
  const control = fields?.number('control');
  if (control === undefined) throw new Error(`${INHERITED_VARIABLE} is not what a predecessor writes`);
  const sockets = (fields?.list('sockets') ?? []).map((each) => {
    const socket = JsonFields.of(each) ?? JsonFields.NONE;
    return {
      fd: socket.number('fd') ?? -1,
      keepsFile: socket.flag('keepsFile') ?? false,
      names: new Set([socket.text('name') ?? '']),
      givenName: '',
    };
  });
  return { sockets, control };
}

function fromSystemd(countText: string, namesText: string): Available[] {
  const count = Number(countText);
  if (!Number.isInteger(count) || count < 0 || count > MAX_LISTEN_FDS)
    throw new Error(`LISTEN_FDS is "${countText}", not a number up to ${MAX_LISTEN_FDS}`);
  const givenNames = namesText.split(':');
  return Array.from({ length: count }, (_, index) => {
    const fd = FIRST_LISTEN_FD + index;
    return { fd, keepsFile: true, names: boundNames(fd), givenName: givenNames[index] ?? '' };
  });
}

/** Parses the message of {@link Predecessor.ready}. @throws {Error} for anything else. */
export function parseReady(line: string): ReadonlySet<string> {
  const fields = JsonFields.parse(line);
  if (fields?.flag('ready') !== true) throw new Error(`unexpected message of the new process: ${line}`);
  return new Set((fields.list('taken') ?? []).map(String));
}

/**
 * Returns the names that a configured address may have for a socket that systemd has bound. A
 * wildcard has several. Empty when the address is unknown: the system is not Linux, or the socket
 * belongs to another network namespace.
 */
export function boundNames(fd: number): ReadonlySet<string> {
  const inode = /^socket:\[(\d+)\]$/.exec(linkOf(fd))?.[1];
  if (inode === undefined) return new Set();
  const path = unixPath(inode);
  if (path !== undefined) return new Set([`unix:${path}`]);
  const bound = tcpAddress(inode);
  return new Set(bound === undefined ? [] : hostsFor(bound.host).map((host) => `tcp:${host}:${bound.port}`));
}

/** Hosts of a configuration that mean this address. */
function hostsFor(host: string): string[] {
  if (host === '::') return ['', '::', '0.0.0.0', '*'];
  if (host === '0.0.0.0') return ['', '0.0.0.0', '*'];
  return host === '127.0.0.1' || host === '::1' ? [host, 'localhost'] : [host];
}

function linkOf(fd: number): string {
  // On failure: not Linux, or not open: listening there reports it
  return attempt(() => readlinkSync(`/proc/self/fd/${fd}`)) ?? '';
}

/** Lines of /proc/net/unix end in `<inode> <path>`. */
function unixPath(inode: string): string | undefined {
  return new RegExp(`^\\S+ \\S+ \\S+ \\S+ \\S+ \\S+ +${inode} (.+)$`, 'm').exec(table('unix'))?.[1];
}

/** Lines of /proc/net/tcp: `sl local_address rem_address st …`; the tenth field is the inode. */
function tcpAddress(inode: string): { host: string; port: number } | undefined {
  for (const family of ['tcp', 'tcp6'] as const) {
    for (const line of table(family).split('\n')) {
      const fields = line.trim().split(/\s+/);
      const [address, port] = fields[1]?.split(':') ?? [];
      if (fields[9] !== inode || address === undefined || port === undefined) continue;
      return { host: hostOf(address), port: Number.parseInt(port, 16) };
    }
  }
  return undefined;
}

/** Decodes an address: hexadecimal words of 32 bits in the byte order of the machine. */
function hostOf(hex: string): string {
  const bytes = Buffer.from(hex, 'hex');
  if (endianness() === 'LE') bytes.swap32();
  if (bytes.length === 4) return bytes.join('.');
  const groups = Array.from({ length: 8 }, (_, index) => bytes.readUInt16BE(index * 2).toString(16));
  return new URL(`http://[${groups.join(':')}]`).hostname.slice(1, -1); // in its shortest form
}

function table(name: string): string {
  return attempt(() => readFileSync(`/proc/self/net/${name}`, 'latin1')) ?? '';
}
