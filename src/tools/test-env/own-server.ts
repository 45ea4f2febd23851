import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { GitalyServer } from '#gitaly/gitaly-server';
import { loadConfig } from '#platform/config/load-config';
import { FdLogStream } from '#platform/log/log-stream';
import { createLogger } from '#platform/log/logger';
import { packageVersion } from '#platform/process/version';
import { watchExceptions } from '#platform/process/watch-exceptions';
import type { ChildServer } from './server-process.ts';

export interface OwnServerFiles {
  readonly config: string;
  /** File for the log; its old content is removed. */
  readonly log: string;
}

/**
 * Starts the server of this installation in this process, which halves the time until it is ready.
 * It runs without the settings of the user's git.
 *
 * @throws {Error} when it does not start
 */
export async function startOwnServer({ config: path, log }: OwnServerFiles): Promise<ChildServer> {
  delete process.env.HOME;
  delete process.env.XDG_CONFIG_HOME;
  await using starting = new AsyncDisposableStack();
  const config = await loadConfig(path);
  const fd = starting.adopt(openSync(log, 'w'), closeSync);
  const stream = starting.adopt(new FdLogStream(fd, { format: 'json' }), async (each) => {
    await each.end();
  });
  const logger = createLogger({ format: 'json', level: 'info', stream });
  const startedAt = performance.now();
  logger.info({ version: packageVersion() }, 'Starting Gitaly');
  const server = starting.use(await GitalyServer.start({ config, logger }));
  const exceptions = starting.use(watchExceptions({ contain: (exception) => server.contain(exception) }));
  logger.info({ duration_ms: Math.round(performance.now() - startedAt) }, 'Started Gitaly');
  await stream.flush();
  const resources = starting.move();
  return {
    exited: once(exceptions.stop, 'abort'),
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  };
}
