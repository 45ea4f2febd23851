import { rmSync } from 'node:fs';
import { Socket } from 'node:net';
import { performance } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';
import { Link, LinkClosedError, type LinkMessage } from './link.ts';
import { answer, type Remote, remote } from './protocol.ts';
import {
  type Load,
  type Movable,
  type Readiness,
  TO_SUPERVISOR,
  TO_WORKER,
  WORKER_CONNECTIONS,
  type WorkerTransport,
} from './worker-protocol.ts';

/** The server of a worker process. */
export interface WorkerServer {
  /** Serves a connection that the supervisor has accepted. */
  receive(socket: Socket, transport: WorkerTransport): void;
  /** Ends a connection so that its client opens another one. False if there is none. */
  moveConnection(which: Movable): boolean;
  readonly load: Omit<Load, 'share'>;
  readonly readiness: Readiness;
  /** Called before the channel closes. */
  beforeEnd(): void;
  /** Ends what the supervisor has left when it was killed. */
  onSupervisorEnded(pid: number): Promise<void>;
  /** Lets the running calls finish. */
  drain(): Promise<void>;
  /** Aborts them. */
  [Symbol.asyncDispose](): Promise<void>;
}

export interface WorkerLifeOptions {
  /** Starts the server with what the supervisor sent. */
  readonly start: (greeting: unknown, link: Link) => Promise<WorkerServer>;
  /** Name of the program in messages. */
  readonly name: string;
  readonly tickMs: number;
  /** Aborts when an exception has left the process in an unknown state. */
  readonly failed: AbortSignal;
  /** Time for running calls after that. */
  readonly failedGraceMs: number;
}

/** Interval of looking whether the supervisor has ended. */
const PARENT_CHECK_MS = 10;
/** Time that a worker has to end its git processes after its supervisor has ended. */
const ORPHAN_MS = 700;

/**
 * Runs the life of a worker: starts the server when the supervisor sends its configuration, serves
 * the connections that it hands over, and ends when it requests that or ends itself.
 *
 * @returns the exit code.
 */
export async function runWorkerLife(options: WorkerLifeOptions): Promise<number> {
  const link = new Link((message, _socket, onSent) => {
    if (!process.connected) {
      onSent?.(new LinkClosedError('the supervisor has ended'));
      return false;
    }
    sendUp(message, (error) => onSent?.(error));
    return true;
  });
  const life = new Life(link, options);
  process.on('message', (message, socket) =>
    link.receive(message, socket instanceof Socket ? socket : undefined),
  );
  const onDisconnect = (): void => void life.orphaned();
  process.on('disconnect', onDisconnect);
  const code = await life.ended;
  life.beforeEnd();
  await new Promise<void>((resolve) => life.tell.ended(undefined, { onSent: () => resolve() }));
  process.off('disconnect', onDisconnect); // the supervisor has not ended
  process.disconnect?.();
  return code;
}

function sendUp(message: LinkMessage, onSent: (error: Error | null) => void): void {
  process.send?.(message, onSent);
}

class Life {
  readonly ended: Promise<number>;
  readonly tell: Remote<typeof TO_SUPERVISOR>;
  readonly #link: Link;
  readonly #options: WorkerLifeOptions;
  readonly #end: (code: number) => void;
  readonly #waiting: { readonly socket: Socket; readonly transport: WorkerTransport }[] = [];
  #server: WorkerServer | undefined;
  #timer: NodeJS.Timeout | undefined;
  #isEnding = false;
  /** Of the supervisor, which cannot remove it when it is killed. */
  #supervisorDirectory: string | undefined;
  readonly #supervisorPid = process.ppid;

  constructor(link: Link, options: WorkerLifeOptions) {
    this.#link = link;
    this.tell = remote(link, TO_SUPERVISOR);
    this.#options = options;
    const { promise, resolve } = Promise.withResolvers<number>();
    [this.ended, this.#end] = [promise, resolve];
    const { closed, received } = remote(link, WORKER_CONNECTIONS);
    answer(link, TO_WORKER, {
      directory: (path) => {
        this.#supervisorDirectory = path;
      },
      start: (greeting) => void this.#start(greeting),
      connection: ({ id, isFollowed, transport }, { socket }) => {
        const isTaken = socket !== undefined && !this.#isEnding;
        // Before anything is read: from here on, nobody else can serve the connection.
        received({ id, isTaken });
        if (!isTaken) {
          socket?.destroy(); // it stays open in the supervisor
          return;
        }
        if (isFollowed) socket.once('close', () => closed(id));
        this.#receive(socket, transport);
      },
      move: (which) => {
        if (this.#server?.moveConnection(which) === true) this.tell.moved();
      },
      drain: () => void this.#finish(0, undefined),
      stop: () => void this.#abort(0),
    });
    options.failed.addEventListener('abort', () => {
      this.tell.leaving();
      void this.#finish(1, options.failedGraceMs);
    });
  }

  beforeEnd(): void {
    this.#server?.beforeEnd();
  }

  /** The supervisor has ended: nothing may be left within a second. */
  async orphaned(): Promise<void> {
    this.#link.close();
    setTimeout(() => process.exit(1), ORPHAN_MS).unref();
    await Promise.all([this.#dispose(), this.#cleanAfterSupervisor()]);
    this.#end(1);
  }

  async #cleanAfterSupervisor(): Promise<void> {
    // The system closes the channel of a process before it reports its end.
    while (process.ppid === this.#supervisorPid) await delay(PARENT_CHECK_MS);
    if (this.#supervisorDirectory !== undefined)
      rmSync(this.#supervisorDirectory, { recursive: true, force: true });
    await this.#server?.onSupervisorEnded(this.#supervisorPid).catch(() => {}); // what is left was its own
  }

  async #start(greeting: unknown): Promise<void> {
    try {
      this.#server = await this.#options.start(greeting, this.#link);
    } catch (error) {
      process.stderr.write(`${this.#options.name}: a worker process could not start: ${error}\n`);
      this.#end(1);
      return;
    }
    this.tell.ready(this.#server.readiness);
    this.#reportLoad(this.#server);
    for (const { socket, transport } of this.#waiting.splice(0)) this.#server.receive(socket, transport);
  }

  #receive(socket: Socket, transport: WorkerTransport): void {
    if (this.#server === undefined) this.#waiting.push({ socket, transport });
    else this.#server.receive(socket, transport);
  }

  #reportLoad(server: WorkerServer): void {
    let used = performance.eventLoopUtilization();
    let isSending = false;
    this.#timer = setInterval(() => {
      if (isSending) return; // the supervisor does not read: reports would fill the memory
      const now = performance.eventLoopUtilization();
      const { utilization: share } = performance.eventLoopUtilization(now, used);
      used = now;
      isSending = true;
      const onSent = (): void => {
        isSending = false;
      };
      this.tell.load({ share, ...server.load }, { onSent });
    }, this.#options.tickMs).unref();
  }

  /** Lets calls finish, for a limited time if there is a limit. */
  async #finish(code: number, limitMs: number | undefined): Promise<void> {
    if (this.#isEnding) return;
    this.#isEnding = true;
    const timer = limitMs === undefined ? undefined : setTimeout(() => void this.#abort(code), limitMs);
    await this.#server?.drain().catch(() => {}); // what is left ends with the process
    clearTimeout(timer);
    clearInterval(this.#timer);
    this.#end(code);
  }

  async #abort(code: number): Promise<void> {
    await this.#dispose();
    this.#end(code);
  }

  async #dispose(): Promise<void> {
    this.#isEnding = true;
    await this.#server?.[Symbol.asyncDispose]().catch(() => {}); // ends with the process
    clearInterval(this.#timer);
  }
}
