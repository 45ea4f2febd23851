// A worker of the Praefect of `start-with-workers.ts`.

import { createLogger } from '#platform/log/logger';
import { PraefectServer } from '#praefect/praefect-server';
import type { Greeting } from '#praefect/start-processes';
import { runWorker } from '#workers/run-worker';
import { aroundCalls } from './around-calls.ts';
import { BEGIN, END, LOG } from './worker-messages.ts';

process.exitCode = await runWorker<Greeting>({
  title: 'praefect',
  server: 'the contract test',
  start: ({ config }, family) => {
    const { link } = family;
    const logger = createLogger({
      format: 'json',
      level: 'info',
      stream: { write: (line) => link.tell(LOG, line) },
    });
    const faults = aroundCalls(async () => {
      const { value } = await link.ask(BEGIN);
      return async () => void (await link.ask(END, value));
    });
    return PraefectServer.start({ config, logger, faults }, family);
  },
});
