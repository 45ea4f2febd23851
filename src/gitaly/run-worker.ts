import { runWorker as run } from '#workers/run-worker';
import type { Greeting } from './family/greeting.ts';
import { GitalyServer } from './gitaly-server.ts';

/** Developers and tests run the sources; their files change on purpose. */
const IS_BUILT = import.meta.filename.endsWith('.js');

/** Runs a worker process of a server, until its supervisor ends it. Resolves to the exit code. */
export async function runWorker(): Promise<number> {
  return await run<Greeting>({
    title: 'gitaly',
    server: 'gitaly serve with [workers] max above 1',
    start: ({ config, keepsHistory }, family, logger) =>
      GitalyServer.start({ config, logger, keepsHistory, copiesPrograms: IS_BUILT }, family),
  });
}
