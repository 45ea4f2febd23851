import { parseBool } from '#base/go/strconv';
import type { FdLogStream } from '../log/log-stream.ts';
import type { Logger } from '../log/logger.ts';
import { InheritedSockets } from './handover/inherited-sockets.ts';
import type { SuccessorCommand } from './handover/start-successor.ts';
import type { ProcessLife } from './serve-until-stopped.ts';
import { ServiceManager } from './service-manager.ts';
import type { StopSignals } from './signals.ts';

/** Variable that makes SIGHUP a restart; `gitaly-wrapper` sets it. */
export const UPGRADES_VARIABLE = 'GITALY_UPGRADES_ENABLED';
/** Variable in which a launcher leaves `<pid>:<its own path>`. */
const LAUNCHER_VARIABLE = 'GITALY_TS_LAUNCHER';

/**
 * Takes from the environment what only this process may use: inherited sockets, the socket of
 * systemd, the launcher. Call it once, before the server starts: if SIGHUP is a restart, it is
 * refused until the server is ready.
 *
 * @throws {Error} when the variables for inherited sockets are invalid.
 */
export function processLife(
  logger: Logger,
  signals: StopSignals,
  log: Pick<FdLogStream, 'isShared' | 'hasWorkers'>,
): ProcessLife {
  const inherited = InheritedSockets.fromEnvironment();
  const { predecessor } = inherited;
  if (predecessor !== undefined) {
    log.isShared = true;
    void predecessor.ended.then(() => {
      log.isShared = false;
    });
  }
  const restartsOnHangup = parseBool(process.env[UPGRADES_VARIABLE] ?? '') === true;
  const refuse = (): void => logger.warn({ reason: 'the process is not ready yet' }, 'SIGHUP was ignored');
  if (restartsOnHangup) signals.useHangup(refuse, { always: true });
  return {
    signals,
    inherited,
    log,
    restartsOnHangup,
    serviceManager: new ServiceManager({
      onProblem: (error) => logger.warn({ error }, 'systemd cannot be notified'),
    }),
    successor: successorCommand(),
  };
}

/**
 * Returns the command line of this process for its successor. A launcher is called by the path by
 * which it was called itself: an upgrade may have changed where that link leads, and the launcher
 * chooses the Node.
 */
function successorCommand(): SuccessorCommand {
  const [, pid, launcher] = /^(\d+):(.+)$/s.exec(process.env[LAUNCHER_VARIABLE] ?? '') ?? [];
  delete process.env[LAUNCHER_VARIABLE];
  const [program = '', ...args] = process.argv.slice(1);
  if (launcher !== undefined && pid === String(process.pid)) return { file: launcher, args };
  return { file: process.execPath, args: [...process.execArgv, program, ...args] };
}
