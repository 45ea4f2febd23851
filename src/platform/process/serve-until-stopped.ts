import { timerMs } from '#base/async/timer-ms';
import { waitAtMost } from '#base/async/wait-at-most';
import type { FdLogStream } from '../log/log-stream.ts';
import type { Logger } from '../log/logger.ts';
import type { InheritedSockets, Predecessor } from './handover/inherited-sockets.ts';
import type { ListeningSocket } from './handover/listening-socket.ts';
import { type SuccessorCommand, startSuccessor } from './handover/start-successor.ts';
import { writePidFile } from './pid-file.ts';
import type { ServiceManager } from './service-manager.ts';
import type { StopRequest, StopSignals } from './signals.ts';
import { EXCEPTION_GRACE_MS, type ExceptionWatch } from './watch-exceptions.ts';

/** A server that accepts calls. */
export interface RunningServer {
  /** Its listening sockets, except that for its own children. */
  readonly sockets: readonly ListeningSocket[];
  /** Stops accepting calls; resolves when the last one has ended. */
  drain(): Promise<void>;
  /** Aborts the remaining calls. */
  [Symbol.asyncDispose](): Promise<void>;
}

export interface ServeOptions {
  /** Name in the log: `Gitaly`, `Praefect`. */
  readonly name: string;
  readonly logger: Logger;
  readonly life: ProcessLife;
  /** Time for which calls may continue after a request to stop. */
  readonly graceMs: number;
  readonly exceptions?: Pick<ExceptionWatch, 'stop' | 'force'>;
}

/** Signals, sockets and the service manager of a server process. */
export interface ProcessLife {
  readonly signals: StopSignals;
  readonly inherited: InheritedSockets;
  readonly serviceManager: ServiceManager;
  /** The descriptor of the log, which the processes of a restart share. */
  readonly log: Pick<FdLogStream, 'isShared' | 'hasWorkers'>;
  /** True if SIGHUP is a restart, and not a stop. */
  readonly restartsOnHangup: boolean;
  /** Starts the next process of a restart. */
  readonly successor: SuccessorCommand;
}

/**
 * Reports that a server is ready: to a supervisor by the PID file, to systemd, and to the process
 * that it takes over from. Then serves until a signal stops it, an exception, or a successor that
 * SIGHUP has started.
 *
 * @returns the exit code: 0 after a clean stop, 1 when running calls had to be aborted or an
 *   exception was the reason.
 */
export async function serveUntilStopped(server: RunningServer, options: ServeOptions): Promise<number> {
  const { name, logger, life, exceptions } = options;
  const { signals, inherited, serviceManager } = life;
  for (const address of inherited.closeRest())
    logger.warn({ address }, 'an inherited socket is not in the configuration, and was closed');
  const announced = announceReady(life);
  const stops = [signals.stop, ...(exceptions === undefined ? [] : [exceptions.stop])];
  const stop = AbortSignal.any(stops);
  const replaced = new AbortController();
  if (life.restartsOnHangup) restartOnHangup(server, options, { announced, stop, replaced });
  const removePidFile = await announced;
  await aborted(AbortSignal.any([stop, replaced.signal]));

  const isReplaced = replaced.signal.aborted;
  if (!isReplaced) serviceManager.stopping();
  const hasException = exceptions?.stop.aborted === true;
  const failure = await gracefulStop({
    server: name,
    request: isReplaced ? undefined : (stop.reason as StopRequest), // its owners set this type
    graceMs: hasException ? Math.min(options.graceMs, EXCEPTION_GRACE_MS) : options.graceMs,
    // After a restart the first signal to stop is the one that cuts the grace period short.
    force: AbortSignal.any([
      signals.force,
      ...(exceptions === undefined ? [] : [exceptions.force]),
      ...(isReplaced ? [signals.stop] : []),
    ]),
    logger,
    drain: () => server.drain(),
    kill: () => server[Symbol.asyncDispose](),
  });
  serviceManager[Symbol.dispose]();
  removePidFile();
  if (failure !== undefined) logger.error({ error: failure }, `unclean ${name} shutdown`);
  logger.info(`${name} shutdown`);
  return failure === undefined && !hasException ? 0 : 1;
}

/** A signal may be seen before the end of the predecessor that it was sent after. */
const END_SEEN_WITHIN_MS = 500;

/** @throws {Error} with tableflip's text if the predecessor has not ended. */
async function refuseWhileRunning(predecessor: Predecessor | undefined): Promise<void> {
  if (predecessor?.isRunning) await waitAtMost(predecessor.ended, END_SEEN_WITHIN_MS);
  if (predecessor?.isRunning) throw new Error("parent hasn't exited");
}

/** Resolves to a function that removes the PID file. */
async function announceReady({ inherited, serviceManager }: ProcessLife): Promise<() => void> {
  const removePidFile = await writePidFile();
  serviceManager.ready();
  inherited.predecessor?.ready();
  return removePidFile;
}

interface RestartSignals {
  /** Resolves when this process has reported that it is ready; a restart begins after that. */
  readonly announced: Promise<unknown>;
  readonly stop: AbortSignal;
  readonly replaced: AbortController;
}

/** Makes SIGHUP start a successor, as long as none has taken over. */
function restartOnHangup(
  server: RunningServer,
  { logger, life }: ServeOptions,
  { announced, stop, replaced }: RestartSignals,
): void {
  const { inherited, serviceManager, successor } = life;
  let isBusy = false;
  const restart = async (): Promise<void> => {
    if (isBusy || replaced.signal.aborted) {
      const why = isBusy ? 'an upgrade is under way' : 'another process has taken over: send it the signal';
      logger.warn({ reason: why }, 'SIGHUP was ignored');
      return;
    }
    isBusy = true;
    serviceManager.reloading();
    const wasShared = life.log.isShared;
    life.log.isShared = true;
    try {
      await refuseWhileRunning(inherited.predecessor);
      const { sockets } = server;
      const { pid, taken } = await startSuccessor({
        sockets,
        signal: stop,
        command: successor,
        env: serviceManager.environment,
      });
      for (const socket of sockets) if (taken.has(socket.name)) socket.handOver();
      serviceManager.handedOver(pid);
      logger.info({ successor: pid }, 'Upgrade succeeded');
      replaced.abort();
    } catch (error) {
      life.log.isShared = wasShared && inherited.predecessor?.isRunning === true;
      logger.error({ error }, 'Upgrade failed');
      if (!stop.aborted) serviceManager.ready();
    } finally {
      isBusy = false;
    }
  };
  // A supervisor may send the signal as soon as there is a PID file. If that cannot be written, the
  // process ends.
  life.signals.useHangup(() => void announced.then(restart, () => {}), { always: true });
}

async function aborted(signal: AbortSignal): Promise<void> {
  if (!signal.aborted)
    await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
}

export interface GracefulStopOptions {
  /** Name of the server in the log: `Gitaly`, `Praefect`. */
  readonly server: string;
  /** Reason of the stop; `undefined` when a new process has taken over. */
  readonly request: StopRequest | undefined;
  /** Time for which calls may continue. */
  readonly graceMs: number;
  /** Ends the grace period early. */
  readonly force: AbortSignal;
  readonly logger: Logger;
  /** Stops accepting calls; resolves when the last one has ended. */
  readonly drain: () => Promise<void>;
  /** Aborts the remaining calls. */
  readonly kill: () => Promise<void>;
}

/**
 * Drains the server. Aborts the remaining calls when the grace period ends or a second signal
 * arrives.
 *
 * @returns `undefined` after a clean stop, otherwise an error with Gitaly's text, with which the
 *   process ends with exit code 1.
 */
export async function gracefulStop(options: GracefulStopOptions): Promise<Error | undefined> {
  const { logger, force, graceMs, request, server } = options;
  if (request === undefined) logger.info(`[graceful upgrade] stopping old ${server}`);
  else logger.info({ signal: request.reason }, `[shutdown] stopping ${server}`);
  logger.warn({ grace_period_ms: graceMs }, 'starting grace period');

  const ended = new AbortController();
  const expiry = new Promise<string>((resolve) => {
    const timer = setTimeout(() => resolve('grace period expired'), timerMs(graceMs));
    ended.signal.addEventListener('abort', () => clearTimeout(timer));
  });
  const forced = new Promise<string>((resolve) => {
    if (force.aborted) resolve('force shutdown');
    else force.addEventListener('abort', () => resolve('force shutdown'), { signal: ended.signal });
  });
  try {
    const failure = await Promise.race([options.drain().then(() => undefined), expiry, forced]);
    if (failure === undefined) {
      logger.info(
        request === undefined
          ? `[graceful upgrade] stopped old ${server}`
          : `[shutdown] stopped ${server} gracefully`,
      );
      return undefined;
    }
    await options.kill();
    return new Error(
      request === undefined
        ? `graceful upgrade: ${failure}`
        : `received signal "${request.reason}": wait: ${failure}`,
    );
  } finally {
    ended.abort();
  }
}
