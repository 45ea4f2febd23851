// A worker of the Praefect of `start-with-workers.ts`.

import { createLogger } from '#platform/log/logger';
import { PraefectServer } from '#praefect/praefect-server';
import type { Greeting } from '#praefect/start-processes';
import { remote } from '#workers/protocol';
import { runWorker } from '#workers/run-worker';
import { aroundCalls } from './around-calls.ts';
import { CONTRACT } from './worker-messages.ts';

process.exitCode = await runWorker<Greeting>({
  title: 'praefect',
  server: 'the contract test',
  start: ({ config }, family) => {
    const { begin, end, log } = remote(family.link, CONTRACT);
    const logger = createLogger({
      format: 'json',
      level: 'info',
      stream: { write: (line) => log(line) },
    });
    const faults = aroundCalls(async () => {
      const id = await begin();
      return () => end(id);
    });
    return PraefectServer.start({ config, logger, faults }, family);
  },
});
