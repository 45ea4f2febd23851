import type { RunGitalyOptions } from '#gitaly/run-gitaly';
import type { GitalyConfig } from '#platform/config/load-config';
import { FdLogStream } from '#platform/log/log-stream';
import { createLogger, type Logger, logLevel } from '#platform/log/logger';
import { nonBlocking } from '#platform/log/non-blocking';
import { misspeltVariables } from '#platform/process/own-variables';
import { processLife } from '#platform/process/process-life';
import { listenForStop, type StopSignals } from '#platform/process/signals';
import { readConfigOrExplain } from '../read-config-or-explain.ts';
import { withOperator } from './answer-operator.ts';

/** Runs `gitaly serve CONFIG`, the server, until a signal ends it. Resolves to the exit code. */
export async function runServe(configPath: string): Promise<number> {
  process.title = 'gitaly'; // process-exporter groups and pgrep search for this name
  const config = await readConfigOrExplain(configPath);
  if (config === undefined) return 1;

  const format = config.logging.format === 'json' ? 'json' : 'text';
  const stream = new FdLogStream(nonBlocking(process.stdout.fd), { format });
  const logger = createLogger({ format, level: logLevel(config.logging.level), stream });
  for (const { message, fields } of config.warnings) logger.warn(fields, message);
  for (const message of misspeltVariables()) logger.warn(message);

  using signals = listenForStop();
  try {
    return await run(config, { logger, signals, stream });
  } finally {
    const dropped = await stream.end();
    if (dropped > 0) process.stderr.write(`gitaly: ${dropped} log lines dropped\n`);
  }
}

async function run(
  config: GitalyConfig,
  { logger, signals, stream }: { logger: Logger; signals: StopSignals; stream: FdLogStream },
): Promise<number> {
  try {
    const life = processLife(logger, signals, stream);
    // Loaded here, so that the other commands start without the server's code.
    const { runGitaly } = await import('#gitaly/run-gitaly');
    const hasPredecessor = life.inherited.predecessor !== undefined;
    const openConsole = withOperator(await consoleOf(config, { logger, hasPredecessor }), (server) => server);
    return await runGitaly(config, { logger, life, openConsole });
  } catch (error) {
    logger.error({ error }, 'unclean Gitaly shutdown');
    return 1;
  }
}

/**
 * Returns a function that opens the console; `undefined` without a console, whose code is then not
 * loaded.
 */
async function consoleOf(
  { auth, console, storage }: GitalyConfig,
  options: { readonly logger: Logger; readonly hasPredecessor: boolean },
): Promise<RunGitalyOptions['openConsole']> {
  const { listenAddr } = console;
  if (listenAddr === undefined) return undefined;
  const { openConsole } = await import('./serve-console.ts');
  const shown = console.storage ?? storage[0]?.name ?? '';
  return (server) =>
    openConsole({
      address: server.addresses.internal,
      settings: { ...console, listenAddr, storage: shown },
      token: auth.token,
      source: {
        status: () => server.status(),
        history: () => server.history(),
        cancel: (correlationId) => server.cancel(correlationId),
        lastWrites: (relativePaths) => server.lastWrites(shown, relativePaths),
        scanner: server.scanner(shown),
      },
      ...options,
    });
}
