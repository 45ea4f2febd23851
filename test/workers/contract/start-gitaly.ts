import { startProcesses } from '#gitaly/family/start-processes';
import { programCommand } from '#testkit/programs/program-command';
import { type StartGitalyOptions, startGitalyWith, type TestGitaly } from '#testkit/start-gitaly';
import { until } from '#testkit/until';

export type { StartGitalyOptions, TestGitaly } from '#testkit/start-gitaly';

/** Processes of the server, with this one: `[workers] max`. */
const PROCESSES = Number(process.env.CONTRACT_PROCESSES ?? 4);
const TICK_MS = 50;
const START_LIMIT_MS = 120_000;

/**
 * Takes the place of the testkit's `startGitaly` for the tests of a single server: the server of
 * this process has workers, which serve all connections.
 */
export async function startGitaly(options: StartGitalyOptions = {}): Promise<TestGitaly> {
  // At each tick a connection is ended with GOAWAY, so that its calls continue in another process.
  const settings = { start: PROCESSES - 1, choice: 'worker', moves: 'random', tickMs: TICK_MS };
  process.env.GITALY_TESTING_WORKERS = JSON.stringify(settings);
  const command = programCommand('gitaly');
  return await startGitalyWith(options, async ({ config, log, logger }) => {
    const server = await startProcesses(
      { ...config, workers: { max: PROCESSES } },
      {
        logger,
        takeSocket: () => undefined,
        copiesPrograms: false,
        program: { file: command.at(-1) ?? '', options: command.slice(0, -1) },
        log: { hasWorkers: false },
      },
    );
    const ready = (): number =>
      log.filter(({ msg }) => msg === 'a worker process accepts connections').length;
    await until(() => ready() === PROCESSES - 1, 'the workers are not ready', START_LIMIT_MS);
    return server;
  });
}
