import { join } from 'node:path';
import { createLogger } from '#platform/log/logger';
import type { PraefectConfig } from '#praefect/config/schema';
import { PraefectServer } from '#praefect/praefect-server';
import { moduleOptions } from '#testkit/programs/program-command';
import { until } from '#testkit/until';
import { pack } from '#workers/pack-values';
import { answer } from '#workers/protocol';
import { startFamily } from '#workers/start-family';
import { aroundCalls, type BeginCall } from './around-calls.ts';
import type { ReplicationWatch } from './replication-watch.ts';
import { CONTRACT } from './worker-messages.ts';

/** Besides this process. */
const WORKERS = 2;
/** At each tick a connection is ended, so that its calls continue in another process. */
const TICK_MS = 50;
const START_LIMIT_MS = 120_000;

/** Starts a Praefect whose workers serve all connections, and report their calls to this process. */
export async function startWithWorkers(
  config: PraefectConfig,
  { begin, watch }: { readonly begin: BeginCall; readonly watch: ReplicationWatch },
): Promise<PraefectServer> {
  process.env.GITALY_TESTING_WORKERS = JSON.stringify({
    start: WORKERS,
    choice: 'worker',
    moves: 'random',
    tickMs: TICK_MS,
  });
  let ready = 0;
  const logger = createLogger({
    format: 'json',
    level: 'info',
    stream: {
      write: (text) => {
        // The logger writes JSON objects, one per line.
        const line = JSON.parse(text) as Record<string, unknown>;
        if (line.msg === 'a worker process accepts connections') ready++;
        watch.line(line);
      },
    },
  });
  const family = startFamily({
    processes: WORKERS + 1,
    logger,
    log: { hasWorkers: false },
    program: { file: join(import.meta.dirname, 'worker.ts'), options: moduleOptions() },
    greeting: (worker) => pack({ config, worker }),
  });
  const ends = new Map<number, () => Promise<void>>();
  let calls = 0;
  answer(family.desk, CONTRACT, {
    async begin() {
      const id = ++calls;
      ends.set(id, await begin());
      return id;
    },
    async end(id) {
      await ends.get(id)?.();
      ends.delete(id);
    },
    // As above.
    log: (line) => watch.line(JSON.parse(line) as Record<string, unknown>),
  });
  const server = await PraefectServer.start({ config, logger, faults: aroundCalls(begin) }, family);
  await until(() => ready === WORKERS, 'the workers are ready', START_LIMIT_MS);
  return server;
}
