import { rmSync, statSync } from 'node:fs';
import type { Socket } from 'node:net';
import { performance } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';
import { messageOf } from '#base/gitaly-error';
import type { Logger } from '#platform/log/logger';
import { packageVersion } from '#platform/process/version';
import type { Link } from './link.ts';
import { answer } from './protocol.ts';
import { IDLE_SHARE, REST_SHARE, type WorkerSettings } from './settings.ts';
import { Stretch } from './stretch.ts';
import { type Follow, scoreOf, type WorkerCommand, WorkerProcess } from './worker-process.ts';
import { type Movable, type Readiness, TO_SUPERVISOR, type WorkerTransport } from './worker-protocol.ts';

/** Number of missing reports after which a worker gets no connections: its load is not known. */
const SILENT_TICKS = 3;

/** Notified of the life of workers, for metrics. */
export interface SupervisorObserver {
  /** Number of processes that serve calls, this one included. */
  running(processes: number): void;
  started(): void;
  ended(reason: 'idle' | 'failed' | 'hung' | 'stopped'): void;
  /** A connection was handed over. */
  handedOver(): void;
  /** A connection was ended because its process was busy and another was not. */
  moved(): void;
}

export interface SupervisorOptions {
  readonly settings: WorkerSettings;
  /** Processes that serve calls, this one included; 2 or more. */
  readonly maxProcesses: number;
  readonly command: WorkerCommand;
  /** Returns what a new worker needs to start; see `pack`. */
  readonly greeting: (worker: number) => unknown;
  readonly logger: Logger;
}

/** The server of this process, which is worker 0. */
export interface OwnServer {
  readonly observer: SupervisorObserver;
  /** Directory that workers remove when this process has been killed. */
  readonly directory: string | undefined;
  /** Answers what workers ask for; called for each new worker. */
  serve(link: Link): void;
  /** Number of open connections. */
  connections(): number;
  /** Ends a connection so that its client opens another one. @see GrpcServer.moveConnection */
  moveConnection(which: Movable): boolean;
  /** Called after the end of a worker, with the id of its process. */
  onWorkerEnded(worker: number, pid: number): void;
}

/**
 * Starts worker processes while the event loops of all are busy, and ends those with nothing to do.
 * Chooses the process for each connection, and replaces processes that fail or hang.
 */
export class Supervisor implements AsyncDisposable {
  readonly #options: SupervisorOptions;
  readonly #workers = new Map<number, WorkerProcess>();
  readonly #entry: string | undefined;
  readonly #busy = new Stretch();
  readonly #allBusy = new Stretch();
  #own: OwnServer | undefined;
  #timer: NodeJS.Timeout | undefined;
  #used = performance.eventLoopUtilization();
  #ownShare = 0;
  /** Connections kept here since the last tick. */
  #kept = 0;
  #tickedAtMs = performance.now();
  #failures = 0;
  #nextStartMs = 0;
  #nextMoveMs = 0;
  #hasUpgradeWarning = false;
  #isEnding = false;

  constructor(options: SupervisorOptions) {
    this.#options = options;
    this.#entry = identityOf(options.command.file);
  }

  /** Workers that serve calls, in order of their numbers. */
  get workers(): readonly WorkerProcess[] {
    return [...this.#workers.values()].filter(({ state }) => state === 'ready');
  }

  /** Workers that may have calls: also those that finish their last ones. */
  get serving(): readonly WorkerProcess[] {
    return [...this.#workers.values()].filter(({ state }) => state !== 'starting');
  }

  /** Starts to watch the load. */
  start(own: OwnServer): void {
    this.#own = own;
    own.observer.running(1);
    this.#tickedAtMs = performance.now();
    this.#timer = setInterval(() => this.#tick(), this.#options.settings.tickMs).unref();
    for (let index = 0; index < this.#options.settings.start; index++) this.#startWorker();
  }

  /** Hands a new connection to a worker, unread. Returns false if this process should serve it. */
  handOver(socket: Socket, transport: WorkerTransport, { onClosed, takeBack }: Follow): boolean {
    const worker = this.#choose();
    if (worker === undefined) {
      this.#kept++;
      return false;
    }
    worker.give(socket, transport, {
      takeBack: () => {
        if (!this.#isEnding) return takeBack();
        socket.destroy();
        onClosed?.();
      },
      ...(onClosed && { onClosed }),
    });
    this.#own?.observer.handedOver();
    return true;
  }

  /** Ends all workers gracefully: their calls may finish. */
  async drain(): Promise<void> {
    this.#end();
    await Promise.all([...this.#workers.values()].map((worker) => this.#drainWorker(worker, 'stopped')));
  }

  /** Ends all workers with their calls. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#end();
    await Promise.all([...this.#workers.values()].map((worker) => worker.stop()));
  }

  #end(): void {
    this.#isEnding = true;
    clearInterval(this.#timer);
  }

  #choose(): WorkerProcess | undefined {
    const { choice, tickMs } = this.#options.settings;
    const reportedMs = performance.now() - SILENT_TICKS * tickMs;
    const ready = this.workers.filter(
      ({ reportedAtMs, score }) => reportedAtMs >= reportedMs && Number.isFinite(score),
    );
    if (choice !== 'least') {
      const own = choice === 'random' ? 1 : 0;
      return ready[Math.floor(Math.random() * (ready.length + own))];
    }
    let best: WorkerProcess | undefined;
    const connections = this.#own?.connections() ?? 0;
    let bestScore = scoreOf({ share: this.#ownShare, connections }, this.#kept);
    for (const worker of ready) {
      const { score } = worker;
      if (score >= bestScore) continue;
      [best, bestScore] = [worker, score];
    }
    return best;
  }

  #tick(): void {
    const used = performance.eventLoopUtilization();
    this.#ownShare = performance.eventLoopUtilization(used, this.#used).utilization;
    this.#used = used;
    this.#kept = 0;
    const { settings } = this.#options;
    const ready = this.workers;
    this.#excuseAfterBlock();
    for (const worker of this.#workers.values()) this.#watch(worker);
    const shares = [this.#ownShare, ...ready.map(({ load }) => load.share)];
    const busyMs = this.#allBusy.note(shares.every((share) => share > settings.busyShare));
    const mayStart = busyMs >= settings.busyMs && performance.now() >= this.#nextStartMs;
    if (mayStart && this.#startWorker()) this.#allBusy.note(false);
    if (settings.moves === 'random') this.#moveAtRandom(ready);
    else this.#moveFromBusy(ready, shares);
    this.#endIdle(ready);
  }

  /** Counts no silence of workers while this process was blocked or stopped: it read nothing then. */
  #excuseAfterBlock(): void {
    const now = performance.now();
    if (now - this.#tickedAtMs > SILENT_TICKS * this.#options.settings.tickMs)
      for (const worker of this.#workers.values()) worker.reportedAtMs = now;
    this.#tickedAtMs = now;
  }

  /** Reports a worker that has not reported its load for long, and then replaces it. */
  #watch(worker: WorkerProcess): void {
    const { logger, settings } = this.#options;
    const silentMs = performance.now() - worker.reportedAtMs;
    if (silentMs < (worker.state === 'starting' ? settings.startMs : settings.hungMs)) return;
    const fields = { worker: worker.number, worker_pid: worker.pid, silent_ms: Math.round(silentMs) };
    if (!worker.isReportedHung) {
      worker.isReportedHung = true;
      logger.error(fields, 'a worker process hangs');
      return; // replaced at the next tick, if it still hangs then
    }
    logger.error(fields, 'a worker process is replaced because it hangs');
    worker.kill();
  }

  #moveFromBusy(ready: readonly WorkerProcess[], shares: readonly number[]): void {
    const { busyMs, busyShare, moveMs } = this.#options.settings;
    const now = performance.now();
    const ownBusyMs = this.#busy.note(this.#ownShare > busyShare, now);
    const rests = shares.some((share) => share < REST_SHARE);
    const hot = ready.filter((worker) => worker.busy.note(worker.load.share > busyShare, now) >= busyMs);
    if (!rests || now < this.#nextMoveMs) return;
    if (ownBusyMs >= busyMs) this.#moveOwn();
    else if (hot[0] === undefined) return;
    for (const worker of hot) this.#moveOf(worker);
    this.#nextMoveMs = now + moveMs;
  }

  #moveAtRandom(ready: readonly WorkerProcess[]): void {
    const index = Math.floor(Math.random() * (ready.length + 1));
    const worker = ready[index];
    if (worker === undefined) this.#moveOwn('any');
    else this.#moveOf(worker, 'any');
  }

  #moveOwn(which: Movable = 'of several'): void {
    if (this.#own?.moveConnection(which) === true) this.#own.observer.moved();
  }

  #moveOf({ tell }: WorkerProcess, which: Movable = 'of several'): void {
    tell.move(which);
  }

  /** Ends one worker of those with nothing to do, the one with the highest number. */
  #endIdle(ready: readonly WorkerProcess[]): void {
    const { settings } = this.#options;
    const idle = ready.filter(
      ({ idle: stretch, load }) =>
        stretch.note(load.calls === 0 && load.share < IDLE_SHARE) >= settings.idleMs,
    );
    const worker = idle.at(-1);
    if (worker !== undefined) void this.#drainWorker(worker, 'idle');
  }

  async #drainWorker(worker: WorkerProcess, reason: 'idle' | 'stopped'): Promise<void> {
    if (worker.state !== 'draining') {
      if (worker.state === 'starting') worker.kill();
      else worker.tell.drain();
      worker.state = 'draining';
      this.#options.logger.info(
        { worker: worker.number, worker_pid: worker.pid, reason },
        'ending a worker process',
      );
    }
    await worker.exited;
  }

  /** Starts a worker unless there are enough, or one is starting. */
  #startWorker(): boolean {
    const { command, logger, maxProcesses, settings } = this.#options;
    const isStarting = [...this.#workers.values()].some(({ state }) => state === 'starting');
    if (this.#isEnding || this.#workers.size >= maxProcesses - 1) return false;
    if (isStarting && this.#workers.size >= settings.start) return false;
    if (identityOf(command.file) !== this.#entry) {
      if (!this.#hasUpgradeWarning)
        logger.warn('no further worker process starts: the program has been upgraded; restart the server');
      this.#hasUpgradeWarning = true;
      return false;
    }
    let number = 1;
    while (this.#workers.has(number)) number++;
    const worker = this.#fork(number);
    if (worker === undefined) return false;
    this.#workers.set(number, worker);
    this.#own?.observer.started();
    this.#follow(worker);
    return true;
  }

  /** Starts a process; `undefined` if the system refuses (no memory): the server goes on without. */
  #fork(number: number): WorkerProcess | undefined {
    const { command, logger } = this.#options;
    try {
      return new WorkerProcess(number, command);
    } catch (error) {
      const fields = { worker: number, error: messageOf(error), back_off_ms: this.#backOff() };
      logger.error(fields, 'a worker process could not be started');
      return undefined;
    }
  }

  /** Delays the next start: one that fails again and again must not be tried each second. */
  #backOff(): number {
    const { backOffMs: firstMs, maxBackOffMs } = this.#options.settings;
    const backOffMs = Math.min(maxBackOffMs, firstMs * 2 ** this.#failures);
    this.#failures++;
    this.#nextStartMs = performance.now() + backOffMs;
    return backOffMs;
  }

  #follow(worker: WorkerProcess): void {
    const { greeting, logger } = this.#options;
    const { link, number, tell } = worker;
    answer(link, TO_SUPERVISOR, {
      ready: (readiness) => this.#ready(worker, readiness),
      load: (load) => worker.report(load),
      moved: () => this.#own?.observer.moved(),
      leaving: () => {
        worker.state = 'draining';
      },
      ended: () => {},
    });
    this.#own?.serve(link);
    if (this.#own?.directory !== undefined) tell.directory(this.#own.directory);
    tell.start(greeting(number));
    void worker.exited
      .then((how) => this.#ended(worker, how))
      .catch((error: unknown) => {
        logger.error({ error: messageOf(error), worker: number }, 'cleaning after a worker process failed');
      });
  }

  #ready(worker: WorkerProcess, readiness: Readiness): void {
    const { logger } = this.#options;
    worker.readiness = readiness;
    if (readiness.version !== packageVersion()) {
      logger.warn(
        { worker_version: readiness.version },
        'a worker process has another version; it is not used',
      );
      worker.kill();
      return;
    }
    if (this.#isEnding) return;
    worker.state = 'ready';
    worker.reportedAtMs = performance.now();
    const startMs = Math.round(performance.now() - worker.startedAtMs);
    logger.info(
      { worker: worker.number, worker_pid: worker.pid, duration_ms: startMs },
      'a worker process accepts connections',
    );
    this.#own?.observer.running(this.workers.length + 1);
  }

  /** Removes what a worker leaves. It is not needed: another one may start without. */
  #removeDirectory({ number, readiness }: WorkerProcess): void {
    const directory = readiness?.directory;
    if (directory === undefined) return;
    try {
      rmSync(directory, { recursive: true, force: true });
    } catch (error) {
      const fields = { worker: number, directory, error: messageOf(error) };
      this.#options.logger.error(fields, 'the directory of a worker process could not be removed');
    }
  }

  async #ended(worker: WorkerProcess, how: string): Promise<void> {
    const { logger, settings } = this.#options;
    const observer = this.#own?.observer;
    this.#workers.delete(worker.number);
    this.#own?.onWorkerEnded(worker.number, worker.pid);
    this.#removeDirectory(worker);
    observer?.running(this.workers.length + 1);
    if (worker.state === 'draining') {
      observer?.ended(this.#isEnding ? 'stopped' : 'idle');
      return;
    }
    observer?.ended(worker.isReportedHung ? 'hung' : 'failed');
    if (performance.now() - worker.startedAtMs > settings.maxBackOffMs) this.#failures = 0;
    const backOffMs = this.#backOff();
    logger.error(
      { worker: worker.number, worker_pid: worker.pid, reason: how, back_off_ms: backOffMs },
      'a worker process has failed',
    );
    if (this.#isEnding) return;
    await delay(backOffMs, undefined, { ref: false });
    this.#startWorker();
  }
}

/** Returns what changes when a program is upgraded. */
function identityOf(file: string): string | undefined {
  const stats = statSync(file, { throwIfNoEntry: false });
  return stats && `${stats.dev}:${stats.ino}:${stats.size}:${stats.mtimeMs}`;
}
