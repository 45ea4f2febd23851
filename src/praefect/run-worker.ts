import { runWorker as run } from '#workers/run-worker';
import { PraefectServer } from './praefect-server.ts';
import type { Greeting } from './start-processes.ts';

/** Runs a worker process of a Praefect, until its supervisor ends it. Resolves to the exit code. */
export async function runWorker(): Promise<number> {
  return await run<Greeting>({
    title: 'praefect',
    server: 'praefect serve with [workers] max above 1',
    start: ({ config, keepsHistory }, family, logger) =>
      PraefectServer.start({ config, keepsHistory, logger }, family),
  });
}
