import { join } from 'node:path';
import { startProcesses } from '#gitaly/family/start-processes';
import { type StartGitalyOptions, startGitalyWith, type TestGitaly } from '#testkit/start-gitaly';
import { until } from '#testkit/until';

export type { StartGitalyOptions, TestGitaly } from '#testkit/start-gitaly';

/** Processes of the server, with this one. */
const PROCESSES = 4;
const START_LIMIT_MS = 120_000;
const PROGRAM = join(import.meta.dirname, '../../../src/cli/gitaly.ts');

/**
 * Takes the place of the testkit's `startGitaly` for the tests of a single server: the server of
 * this process has three workers, which serve all connections.
 */
export async function startGitaly(options: StartGitalyOptions = {}): Promise<TestGitaly> {
  process.env.GITALY_TESTING_WORKERS = JSON.stringify({ start: PROCESSES - 1, choice: 'worker' });
  return await startGitalyWith(options, async ({ config, log, logger }) => {
    const server = await startProcesses(
      { ...config, workers: { max: PROCESSES } },
      {
        logger,
        takeSocket: () => undefined,
        copiesPrograms: false,
        program: { file: PROGRAM, options: ['--conditions=source'] },
        log: { hasWorkers: false },
      },
    );
    const ready = (): number =>
      log.filter(({ msg }) => msg === 'a worker process accepts connections').length;
    await until(() => ready() === PROCESSES - 1, 'the workers are not ready', START_LIMIT_MS);
    return server;
  });
}
