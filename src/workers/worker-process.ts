import { type ChildProcess, fork } from 'node:child_process';
import type { Socket } from 'node:net';
import { waitAtMost } from '#base/async/wait-at-most';
import { Link, type Send } from './link.ts';
import { answer, type Remote, remote } from './protocol.ts';
import { Stretch } from './stretch.ts';
import {
  type Load,
  type Readiness,
  TO_WORKER,
  WORKER_CONNECTIONS,
  type WorkerTransport,
} from './worker-protocol.ts';

/** How to start a worker. */
export interface WorkerCommand {
  readonly file: string;
  /** Options of Node. */
  readonly options: readonly string[];
  readonly args: readonly string[];
}

/** The end of a connection that was given to a worker. */
export interface Follow {
  /** Serves it here after all: the worker does not. */
  takeBack(): void;
  /** Called instead once it is closed, also by the end of the worker. */
  onClosed?(): void;
}

interface OnTheWay extends Follow {
  readonly socket: Socket;
}

/** Connections that may be on their way to a worker at once; a worker that hangs reads none. */
const MAX_ON_THE_WAY = 64;
/** Weight of a connection that was handed over since the last report. */
const NEW_CONNECTION_SHARE = 0.05;
/** Weight of an open connection: it decides between processes that are equally busy. */
const OPEN_CONNECTION_SHARE = 0.001;
/** Time for the last messages of a process that has ended. */
const LAST_MESSAGES_MS = 500;
/** Time for a process to end after a request to end at once. */
const STOP_MS = 2000;

/** Returns the expected load of the next connection, with those since the last measurement. */
export function scoreOf({ connections, share }: Omit<Load, 'calls'>, recent: number): number {
  return share + recent * NEW_CONNECTION_SHARE + connections * OPEN_CONNECTION_SHARE;
}

/** A worker, as its supervisor sees it. */
export class WorkerProcess {
  /** 1 to 255; a number is used again after the end of its worker. */
  readonly number: number;
  readonly link: Link;
  readonly tell: Remote<typeof TO_WORKER>;
  readonly startedAtMs = performance.now();
  readonly exited: Promise<string>;
  /** Loads that make it a busy worker, one with nothing to do. */
  readonly busy = new Stretch();
  readonly idle = new Stretch();
  readonly #child: ChildProcess;
  readiness: Readiness | undefined;
  state: 'starting' | 'ready' | 'draining' = 'starting';
  load: Load = { share: 0, calls: 0, connections: 0 };
  reportedAtMs = performance.now();
  isReportedHung = false;
  /** Connections given since the last report. */
  #given = 0;
  /** Connections that it has not confirmed. */
  readonly #onTheWay = new Map<number, OnTheWay>();
  /** Confirmed ones that are followed. */
  readonly #followed = new Map<number, () => void>();
  #lastConnection = 0;

  constructor(number: number, { args, file, options }: WorkerCommand) {
    this.number = number;
    this.#child = fork(file, [...args], {
      serialization: 'advanced',
      execArgv: [...options],
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    this.link = new Link((message, socket, onSent) => this.#send(message, socket, onSent), number);
    this.tell = remote(this.link, TO_WORKER);
    this.#child.on('message', (message) => this.link.receive(message, undefined));
    answer(this.link, WORKER_CONNECTIONS, {
      received: ({ id, isTaken }) => this.#received(id, isTaken),
      closed: (id) => this.#closed(id),
    });
    this.exited = this.#exit();
    void this.exited.then(() => {
      this.link.close();
      for (const id of [...this.#onTheWay.keys()]) this.#received(id, false);
      for (const id of [...this.#followed.keys()]) this.#closed(id);
    });
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** Expected load of the next connection; infinite if it should get none. */
  get score(): number {
    if (this.state !== 'ready' || this.#onTheWay.size >= MAX_ON_THE_WAY) return Number.POSITIVE_INFINITY;
    return scoreOf(this.load, this.#given);
  }

  /** Notes a report. */
  report(load: Load): void {
    this.load = load;
    this.reportedAtMs = performance.now();
    this.isReportedHung = false;
    this.#given = 0;
  }

  /**
   * Hands a connection over. The socket must not have been read. It stays open here until the
   * worker confirms it, because a worker that is killed drops those that it has not taken.
   */
  give(socket: Socket, transport: WorkerTransport, { onClosed, takeBack }: Follow): void {
    this.#given++;
    const id = ++this.#lastConnection;
    this.#onTheWay.set(id, { socket, takeBack, ...(onClosed && { onClosed }) });
    const isFollowed = onClosed !== undefined;
    const onSent = (error: Error | null): void => {
      if (error !== null) this.#received(id, false);
    };
    this.tell.connection({ id, transport, isFollowed }, { socket, onSent });
  }

  kill(): void {
    this.#child.kill('SIGKILL');
  }

  /** Ends the process now, with its calls. */
  async stop(): Promise<void> {
    this.tell.stop();
    await waitAtMost(this.exited, STOP_MS);
    this.kill();
    await this.exited;
  }

  #received(id: number, isTaken: boolean): void {
    const given = this.#onTheWay.get(id);
    if (given === undefined) return;
    this.#onTheWay.delete(id);
    const { onClosed, socket } = given;
    if (isTaken) {
      if (onClosed !== undefined) this.#followed.set(id, onClosed);
      socket.destroy();
    } else if (socket.destroyed) onClosed?.();
    else given.takeBack();
  }

  #closed(id: number): void {
    const onClosed = this.#followed.get(id);
    this.#followed.delete(id);
    onClosed?.();
  }

  /** Resolves after the last message. */
  async #exit(): Promise<string> {
    const closed = new Promise<void>((resolve) => this.#child.once('disconnect', resolve));
    const how = await new Promise<string>((resolve) => {
      this.#child.once('error', (error) => resolve(error.message));
      this.#child.once('exit', (code, signal) => resolve(signal ?? `exit code ${code}`));
    });
    if (this.#child.connected) await waitAtMost(closed, LAST_MESSAGES_MS);
    return how;
  }

  #send(...[message, socket, onSent]: Parameters<Send>): boolean {
    if (!this.#child.connected) {
      onSent?.(new Error('the worker has ended'));
      return false;
    }
    return this.#child.send(message, socket, { keepOpen: true }, (error) => onSent?.(error));
  }
}
