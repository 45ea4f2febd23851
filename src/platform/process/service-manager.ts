import { execFile } from 'node:child_process';
import { endianness } from 'node:os';
import { loadCLibrary } from '#base/c-library';
import { messageOf } from '#base/gitaly-error';

/** Assignments of a notification, as in `sd_notify(3)`: `READY=1`, `STATUS=…`. */
export type Notification = Readonly<Record<string, string | number>>;

export interface ServiceManagerOptions {
  /** Called when a notification cannot be sent. */
  readonly onProblem: (error: string) => void;
  readonly env?: NodeJS.ProcessEnv;
  /** Sends one datagram. Default: by FFI, otherwise by the program `systemd-notify`. */
  readonly send?: Send;
}

type Send = (message: string, socketPath: string) => void;

const AF_UNIX = 1;
const SOCK_DGRAM_CLOEXEC = 0o2000002;
/** The service manager must not delay the event loop; and no SIGPIPE. */
const MSG_DONTWAIT_NOSIGNAL = 0x4040;
/** Size of `sun_path` in Linux. */
const MAX_PATH_BYTES = 108;
const PROGRAM_TIMEOUT_MS = 5_000;
/** systemd recommends half the limit. */
const WATCHDOG_SHARE = 2;

/**
 * Notifies systemd of the state of this process (`NOTIFY_SOCKET`), and that its event loop runs
 * (`WATCHDOG_USEC`). Does nothing when systemd does not request it.
 *
 * The variables are removed from the environment: children must not speak for the server.
 */
export class ServiceManager implements Disposable {
  readonly #socketPath: string | undefined;
  readonly #send: Send;
  readonly #onProblem: (error: string) => void;
  readonly #watchdogMs: number | undefined;
  readonly #inherited: Readonly<Record<string, string>>;
  #watchdog: NodeJS.Timeout | undefined;

  constructor({ onProblem, env = process.env, send }: ServiceManagerOptions) {
    const { NOTIFY_SOCKET, WATCHDOG_USEC, WATCHDOG_PID } = env;
    for (const name of ['NOTIFY_SOCKET', 'WATCHDOG_USEC', 'WATCHDOG_PID']) delete env[name];
    this.#socketPath = /^[/@]/.test(NOTIFY_SOCKET ?? '') ? NOTIFY_SOCKET : undefined;
    this.#onProblem = onProblem;
    this.#send = send ?? sender(onProblem);
    const isForUs = WATCHDOG_PID === undefined || WATCHDOG_PID === String(process.pid);
    const limitMs = isForUs ? Number(WATCHDOG_USEC) / 1000 : Number.NaN;
    this.#watchdogMs = limitMs > 0 ? limitMs / WATCHDOG_SHARE : undefined;
    this.#inherited = {
      ...(NOTIFY_SOCKET !== undefined && { NOTIFY_SOCKET }),
      ...(WATCHDOG_USEC !== undefined && isForUs && { WATCHDOG_USEC }),
    };
  }

  /** Variables for the successor of this process, which becomes the main process of the service. */
  get environment(): Readonly<Record<string, string>> {
    return this.#inherited;
  }

  /** Sends a notification. Never throws. */
  notify(notification: Notification): void {
    if (this.#socketPath === undefined) return;
    const message = Object.entries(notification)
      .map(([name, value]) => `${name}=${String(value).replaceAll('\n', ' ')}`)
      .join('\n');
    try {
      this.#send(message, this.#socketPath);
    } catch (error) {
      this.#onProblem(messageOf(error));
    }
  }

  /** The server accepts calls. From now on the watchdog is fed. */
  ready(): void {
    this.notify({ READY: 1, STATUS: 'accepting calls' });
    this.#feedWatchdog();
  }

  /** A restart begins: until {@link ready} or {@link handedOver}. */
  reloading(): void {
    const monotonic = process.hrtime.bigint() / 1000n; // CLOCK_MONOTONIC in microseconds
    this.notify({ RELOADING: 1, MONOTONIC_USEC: String(monotonic), STATUS: 'starting a new process' });
  }

  /** The successor is the service from now on, and feeds the watchdog. */
  handedOver(pid: number): void {
    this[Symbol.dispose]();
    this.notify({ MAINPID: pid, READY: 1, STATUS: 'accepting calls' });
  }

  /** The server stops accepting calls. */
  stopping(): void {
    this.notify({ STOPPING: 1, STATUS: 'waiting for running calls' });
  }

  /** Ends the feeding of the watchdog. */
  [Symbol.dispose](): void {
    clearInterval(this.#watchdog);
    this.#watchdog = undefined;
  }

  #feedWatchdog(): void {
    if (this.#watchdogMs === undefined || this.#socketPath === undefined || this.#watchdog !== undefined)
      return;
    this.#watchdog = setInterval(() => this.notify({ WATCHDOG: 1 }), this.#watchdogMs).unref();
  }
}

function sender(onProblem: (error: string) => void): Send {
  let chosen: Send | undefined;
  return (message, socketPath) => {
    chosen ??= nativeSender() ?? programSender(onProblem);
    chosen(message, socketPath);
  };
}

/** Node has no datagram sockets of the Unix family. */
function nativeSender(): Send | undefined {
  if (process.platform !== 'linux') return undefined;
  try {
    const { find } = loadCLibrary();
    const socket = find<(domain: number, type: number, protocol: number) => number>(
      'int socket(int domain, int type, int protocol)',
    );
    const sendto = find<(fd: number, ...rest: (Buffer | number)[]) => number>(
      'long sendto(int fd, void *data, size_t size, int flags, void *address, unsigned int length)',
    );
    const close = find<(fd: number) => number>('int close(int fd)');
    return (message, socketPath) => {
      const address = addressOf(socketPath);
      const data = Buffer.from(message);
      const fd = socket(AF_UNIX, SOCK_DGRAM_CLOEXEC, 0);
      if (fd === -1) throw new Error('no socket for the notification of systemd');
      try {
        const sent = sendto(fd, data, data.length, MSG_DONTWAIT_NOSIGNAL, address, address.length);
        if (Number(sent) !== data.length) throw new Error(`systemd does not read from ${socketPath}`);
      } finally {
        close(fd);
      }
    };
  } catch {
    return undefined; // no FFI
  }
}

/** Returns a `sockaddr_un`. A path that begins with `@` is an abstract name: it begins with NUL. */
function addressOf(socketPath: string): Buffer {
  const path = Buffer.from(socketPath);
  if (path.length >= MAX_PATH_BYTES) throw new Error(`NOTIFY_SOCKET is too long: ${socketPath}`);
  if (path[0] === 0x40) path[0] = 0;
  const address = Buffer.alloc(2 + path.length + (path[0] === 0 ? 0 : 1));
  if (endianness() === 'LE') address.writeUInt16LE(AF_UNIX);
  else address.writeUInt16BE(AF_UNIX);
  path.copy(address, 2);
  return address;
}

/** The notification comes from another process then: the unit needs `NotifyAccess=all`. */
function programSender(onProblem: (error: string) => void): Send {
  return (message, socketPath) => {
    const options = { env: { ...process.env, NOTIFY_SOCKET: socketPath }, timeout: PROGRAM_TIMEOUT_MS };
    execFile('systemd-notify', message.split('\n'), options, (error) => {
      if (error) onProblem(`systemd-notify: ${error.message}`);
    });
  };
}
