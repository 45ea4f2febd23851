import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { constants } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { messageOf } from '#base/gitaly-error';
import { signalWords } from '#base/go/signal-words';
import { parseBool } from '#base/go/strconv';
import { systemErrorCode } from '#base/go/system-error';
import { FdLogStream } from '#platform/log/log-stream';
import { createLogger, type Logger } from '#platform/log/logger';
import { PID_FILE_VARIABLE } from '#platform/process/pid-file';
import { UPGRADES_VARIABLE } from '#platform/process/process-life';
import { findServer, isAlive } from './find-server.ts';

/** Interval of the checks, Gitaly's. */
const CHECK_EVERY_MS = 1000;

/**
 * Signals that are not forwarded: those that nobody can catch, faults of this process, and what the
 * kernel reports to this process about its children, pipes and timers.
 */
const OWN_SIGNALS = new Set<string>(
  `SIGKILL SIGSTOP SIGURG SIGCHLD SIGPIPE SIGPROF SIGVTALRM SIGSEGV SIGBUS SIGFPE SIGILL SIGABRT
   SIGIOT SIGTRAP SIGSYS SIGUNUSED`.split(/\s+/),
);

/** Node opens its debugger on this signal. */
const DEBUGGER_SIGNAL = 'SIGUSR1';

/**
 * Supervises a server that replaces its own process when it restarts: starts it, or adopts the one
 * that the PID file names, forwards signals to the newest process, and ends with the last one. So
 * the service keeps one pid.
 *
 * @param command the server's program and arguments.
 * @returns the exit code: 0 when the server has ended, however it did.
 */
export async function runWrapper(command: readonly string[], env: NodeJS.ProcessEnv): Promise<number> {
  const format = parseBool(env.WRAPPER_JSON_LOGGING ?? '') === true ? 'json' : 'text';
  const stream = new FdLogStream(process.stdout.fd, { format });
  const logger = createLogger({ format, level: 'info', stream, fields: { wrapper: process.pid } });
  try {
    return await wrap(command, { env, logger });
  } finally {
    await stream.end();
  }
}

async function wrap(
  command: readonly string[],
  { env, logger }: { readonly env: NodeJS.ProcessEnv; readonly logger: Logger },
): Promise<number> {
  const [program, ...args] = command;
  if (program === undefined) {
    logger.error('usage: gitaly-wrapper forking_binary [args]');
    return 1;
  }
  logger.info('Wrapper started');
  const pidFile = env[PID_FILE_VARIABLE];
  if (!pidFile) {
    logger.error(`missing pid file ENV variable "${PID_FILE_VARIABLE}"`);
    return 1;
  }
  logger.info({ pid_file: pidFile }, 'finding process');
  let server: number | undefined;
  try {
    server = findServer(pidFile, program);
  } catch (error) {
    logger.error({ error: messageOf(error) }, 'find process');
    const code = systemErrorCode(error);
    if (code !== undefined && code !== 'ENOENT') return 1;
  }
  if (server !== undefined) logger.info('adopting a process');
  else {
    logger.info('spawning a process');
    try {
      server = await start(program, args, { env, logger });
    } catch (error) {
      logger.error({ error: messageOf(error) }, 'spawn gitaly');
      return 1;
    }
  }
  await new Supervision({ program, pidFile, logger }, server).untilEnd();
  return 0;
}

/** Starts the server with our standard streams. @throws when it cannot be started. */
async function start(
  program: string,
  args: readonly string[],
  { env, logger }: { readonly env: NodeJS.ProcessEnv; readonly logger: Logger },
): Promise<number> {
  const child = spawn(program, args, { stdio: 'inherit', env: { ...env, [UPGRADES_VARIABLE]: 'true' } });
  await once(child, 'spawn');
  child.once('exit', (code, signal) => {
    if (code === 0) return;
    const error = signal === null ? `exit status ${code}` : `signal: ${signalWords(signal)}`;
    logger.error({ error }, 'waiting for supervised command');
  });
  return child.pid ?? 0;
}

interface Supervised {
  readonly program: string;
  readonly pidFile: string;
  readonly logger: Logger;
}

/** Follows the processes of a server. */
class Supervision {
  readonly #supervised: Supervised;
  /** Processes that have not ended; after a restart the older ones finish their calls. */
  readonly #running = new Set<number>();
  #newest = 0;
  #logger: Logger;

  constructor(supervised: Supervised, pid: number) {
    this.#supervised = supervised;
    this.#logger = supervised.logger;
    this.#follow(pid);
    for (const name of Object.keys(constants.signals)) {
      if (OWN_SIGNALS.has(name)) continue;
      // The names are those of the system's signals.
      process.on(name as NodeJS.Signals, (signal: NodeJS.Signals) => this.#forward(signal));
    }
  }

  /** Resolves when the last process has ended. */
  async untilEnd(): Promise<void> {
    while (this.#running.size > 0) {
      await delay(CHECK_EVERY_MS);
      for (const pid of this.#running) if (!isAlive(pid)) this.#running.delete(pid);
      this.#findNewest();
    }
    this.#logger.error('wrapper for process shutting down');
  }

  #follow(pid: number): void {
    this.#newest = pid;
    this.#running.add(pid);
    this.#logger = this.#supervised.logger.child({ process: pid });
    this.#logger.info('monitoring process');
  }

  /** Searches for the successor of a restart, which writes its pid when it is ready. */
  #findNewest(): void {
    const { pidFile, program, logger } = this.#supervised;
    try {
      const pid = findServer(pidFile, program);
      if (pid === undefined || pid === this.#newest) return;
      logger.info('adopting a process');
      this.#follow(pid);
    } catch {
      // The server has not started yet, or it has ended and removed the file.
    }
  }

  #forward(signal: NodeJS.Signals): void {
    this.#findNewest();
    if (signal === DEBUGGER_SIGNAL) return;
    this.#logger.warn({ signal: signalWords(signal) }, 'forwarding signal');
    try {
      process.kill(this.#newest, signal);
    } catch (error) {
      this.#logger.error(
        { signal: signalWords(signal), error: messageOf(error) },
        "can't forward the signal",
      );
    }
  }
}
