import assert from 'node:assert/strict';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { CallError, type Connection, commitFiles, dial } from '#client/index';
import { gitOutput, initRepository } from '#testkit/repositories/init-repository';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import type { GitalyProcess } from '#testkit/servers/start-gitaly-process';
import { extent, repetitions } from '#testkit/soak';
import { until } from '#testkit/until';
import { USER } from '#testkit/user';
import { OptimizeRepositoryRequest_Strategy } from '#wire/gen/repository_pb';
import { isRunning, metrics, ready, readyWorkers, repository, startFamily, sumOf } from './family.ts';

const CONNECTIONS = 9;
const KILLS = repetitions('WORKER_KILLS', { short: 2, long: 10 });
const COMMITS = extent('WORKER_COMMITS', { short: 6, long: 200 });
const CALL_EVERY_MS = 10;
/** Connections stay where they are. */
const STEADY = { choice: 'random', tickMs: 600_000, backOffMs: 50, maxBackOffMs: 200 };

/** Opens connections that repeat no call by themselves. */
async function openConnections({ address }: GitalyProcess): Promise<Connection[]> {
  return await Promise.all(Array.from({ length: CONNECTIONS }, () => dial(address, { retry: false })));
}

/** Returns for each connection the process that serves it, by calls with a name of the round. */
async function processesOf(gitaly: GitalyProcess, opened: readonly Connection[], round: number) {
  const pathOf = (index: number): string => `round-${round}-${index}.git`;
  const processOf = (index: number): string | undefined =>
    new RegExp(`repoPath=${pathOf(index)} .*worker=(\\d)`).exec(gitaly.log())?.[1];
  await Promise.all(
    opened.map(({ repository: calls }, index) =>
      calls.repositoryExists({ repository: { ...repository, relativePath: pathOf(index) } }),
    ),
  );
  await until(() => opened.every((_, index) => processOf(index) !== undefined), 'all calls are logged');
  return opened.map((_, index) => Number(processOf(index)));
}

test('a killed worker fails its own calls only, and repeated they succeed', async () => {
  await using gitaly = await startFamily('', STEADY);
  const opened = await openConnections(gitaly);

  for (let round = 0; round < KILLS; round++) {
    const processes = await processesOf(gitaly, opened, round);
    const failed = new Set<number>();
    const codes = new Set<string>();
    const waiting = new Set<number>();
    const ending = new AbortController();
    const load = opened.map(async (connection, index) => {
      while (!ending.signal.aborted) {
        await delay(CALL_EVERY_MS);
        waiting.add(index);
        await connection.repository.repositoryExists({ repository }).catch((error: unknown) => {
          failed.add(processes[index] ?? -1);
          codes.add(error instanceof CallError ? error.code : String(error));
        });
        waiting.delete(index);
      }
    });

    const victim = 1 + (round % 2);
    const pid = Number(
      [...gitaly.log().matchAll(new RegExp(`accepts connections".* worker=${victim} worker_pid=(\\d+)`, 'g'))]
        .at(-1)
        ?.at(1),
    );
    // Stopped first, so that each of its connections has a call when it is killed.
    process.kill(pid, 'SIGSTOP');
    await until(() => processes.every((each, index) => each !== victim || waiting.has(index)));
    await delay(CALL_EVERY_MS);
    process.kill(pid, 'SIGKILL');
    await ready(gitaly, 2 + round + 1);
    ending.abort();
    await Promise.all(load);

    assert.deepEqual([...failed], processes.includes(victim) ? [victim] : []);
    assert.deepEqual([...codes], failed.size === 0 ? [] : ['UNAVAILABLE']);
    for (const connection of opened) await connection.repository.repositoryExists({ repository });
  }

  const text = await metrics(gitaly);
  assert.equal(sumOf(text, 'gitaly_ts_worker_ends_total', 'reason="failed"'), KILLS);
  await Promise.all(opened.map((connection) => connection.close()));
});

/** A git whose repack does not end. */
function makeSlowGit() {
  const directory = makeScratchDirectory('slow-git');
  const [path, pidsPath] = [join(directory, 'git'), join(directory, 'pids')];
  const slow = `case "$*" in *" repack "*) sleep 1000 & echo $$ $! > ${pidsPath}; wait ;; esac`;
  writeFileSync(path, `#!/bin/sh\n${slow}\nexec git "$@"\n`, { mode: 0o755 });
  return {
    config: `[git]\nbin_path = "${path}"\n`,
    /** Returns the ids of its processes when they run. */
    started: async (): Promise<readonly number[]> => {
      await until(() => existsSync(pidsPath) && readFileSync(pidsPath, 'utf8').endsWith('\n'));
      return readFileSync(pidsPath, 'utf8').trim().split(' ').map(Number);
    },
    [Symbol.dispose]: () => rmSync(directory, { recursive: true }),
  };
}

// Symptom: a repack of a killed process went on, next to the one that another process started.
for (const [killed, choice] of [
  ['worker', 'worker'],
  ['first process', 'least'],
] as const) {
  test(`the git of a killed ${killed} ends, with what it has started`, async () => {
    using git = makeSlowGit();
    await using gitaly = await startFamily(git.config, { ...STEADY, choice });
    const connection = await dial(gitaly.address, { retry: false });
    initRepository(join(gitaly.directory, 'default', repository.relativePath), { commits: 2 });
    const maintenance = connection.repository
      .optimizeRepository({ repository, strategy: OptimizeRepositoryRequest_Strategy.EAGER })
      .catch(ignoreUnavailable);
    const started = await git.started();
    assert.deepEqual(started.map(isRunning), [true, true]);

    const pids = killed === 'worker' ? readyWorkers(gitaly) : [gitaly.pid];
    for (const pid of pids) process.kill(pid, 'SIGKILL');

    await until(() => !started.some(isRunning), 'git runs');
    await maintenance;
    await connection.close();
  });
}

test('connections that a killed worker had not taken are served by others', async () => {
  await using gitaly = await startFamily('', { ...STEADY, choice: 'worker' });
  const workers = readyWorkers(gitaly);
  for (const pid of workers) process.kill(pid, 'SIGSTOP');
  const handedOver = async (): Promise<number> =>
    sumOf(await metrics(gitaly), 'gitaly_ts_worker_connections_total');
  const opened = await openConnections(gitaly); // each connects with its first call
  const calls = opened.map((connection) => connection.repository.repositoryExists({ repository }));
  await until(async () => (await handedOver()) === CONNECTIONS, 'all connections are handed over');

  for (const pid of workers) process.kill(pid, 'SIGKILL');

  assert.equal((await Promise.all(calls)).length, CONNECTIONS);
  await Promise.all(opened.map((connection) => connection.close()));
});

test('a worker that hangs is reported and replaced', async (context) => {
  const hungMs = 2500;
  await using gitaly = await startFamily('', { hungMs, backOffMs: 50 });
  const [hanging = 0] = readyWorkers(gitaly);

  // Symptom: after the first process was stopped for a while, it reported that all workers hang.
  await context.test('but not when the first process did not run', async () => {
    gitaly.kill('SIGSTOP');
    await delay(hungMs + 100); // as long as workers may be silent
    gitaly.kill('SIGCONT');

    const connection = await gitaly.connect();
    await connection.repository.repositoryExists({ repository });

    assert.doesNotMatch(gitaly.log(), /a worker process hangs/);
  });

  process.kill(hanging, 'SIGSTOP');
  await ready(gitaly, 3);

  assert.match(gitaly.log(), new RegExp(`msg="a worker process hangs".* worker_pid=${hanging}`));
  assert.match(gitaly.log(), /msg="a worker process is replaced because it hangs"/);
  assert.equal(sumOf(await metrics(gitaly), 'gitaly_ts_worker_ends_total', 'reason="hung"'), 1);
});

test('writers and maintenance in several processes lose nothing, even if one is killed', async () => {
  await using gitaly = await startFamily('', STEADY);
  const opened = await openConnections(gitaly);
  await opened[0]?.repository.createRepository({ repository });
  const [housekeeper, ...writers] = opened;
  const ending = new AbortController();
  const maintenance = (async () => {
    while (!ending.signal.aborted)
      await housekeeper?.repository.optimizeRepository({ repository }).catch(ignoreUnavailable);
  })();

  const acknowledged = await Promise.all(
    writers.map((connection, index) => write(connection, index, gitaly)),
  );
  ending.abort();
  await maintenance;

  const path = join(gitaly.directory, 'default', repository.relativePath);
  assert.equal(gitOutput(path, ['fsck', '--strict', '--full', '--no-dangling']), '');
  for (const [index, commits] of acknowledged.entries()) {
    const history = gitOutput(path, ['rev-list', '--reverse', `branch-${index}`]).split('\n');
    assert.deepEqual(
      history.filter((id) => commits.includes(id)),
      commits,
      `branch-${index}`,
    );
  }
  await Promise.all(opened.map((connection) => connection.close()));
});

/** Makes commits on a branch. The first writer kills a worker halfway. @returns those acknowledged. */
async function write(connection: Connection, index: number, gitaly: GitalyProcess): Promise<string[]> {
  const commits: string[] = [];
  for (let number = 0; number < COMMITS; number++) {
    if (index === 0 && number === COMMITS / 2) process.kill(readyWorkers(gitaly)[0] ?? 0, 'SIGKILL');
    const header = {
      repository: { ...repository, glRepository: 'project-1' },
      user: USER,
      branchName: Buffer.from(`branch-${index}`),
      commitMessage: Buffer.from(`${number}`),
    };
    const file = { type: 'create', path: `file-${number}`, content: `${index} ${number}` } as const;
    const update = await commitFiles(connection, header, [file]).catch(ignoreUnavailable);
    if (update !== undefined) commits.push(update.commitId);
  }
  return commits;
}

/** Calls of a killed process fail; it is not known whether their changes were made. */
function ignoreUnavailable(error: unknown): undefined {
  if (error instanceof CallError && error.code === 'UNAVAILABLE') return undefined;
  throw error;
}
