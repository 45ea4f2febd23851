import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { processesIn, processIdsIn } from '#testkit/measure/process-usage';
import { seededRandom } from '#testkit/repositories/random-history';
import { runGit } from '#testkit/repositories/run-git';
import { repetitions } from '#testkit/soak';
import { until } from '#testkit/until';
import { OptimizeRepositoryRequest_Strategy as Strategy } from '#wire/gen/repository_pb';
import { Arena, leftoversIn } from './arena.ts';
import { Pusher } from './pusher.ts';

const KILLS = repetitions('MAINTENANCE_KILLS', { short: 2, long: 8 });
/** A server lives up to this many times as long as one maintenance takes. */
const LONGEST_LIFE = 2;
const CLIENTS_NOTICE_MS = 100;
const SEED = 5;
const NAME = 'kept';
const repository = { storageName: 'default', relativePath: `${NAME}.git` };

test(`maintenance that is killed at ${KILLS} points under load loses nothing`, async (context) => {
  const random = seededRandom(SEED);
  await using arena = await Arena.start({ maintenance: true });
  const pusher = await Pusher.start(arena, NAME);
  const path = arena.serverPath(NAME);
  // A reference that no push changes, with its own objects.
  const extra = await runGit(['-C', path, 'commit-tree', '-m', 'extra', 'main^{tree}']);
  await runGit(['-C', path, 'update-ref', 'refs/keep-around/extra', extra]);
  let [left, runs, reads] = [0, 0, 0];
  let runMs = await maintain(arena);

  for (let kill = 0; kill < KILLS; kill++) {
    const before = await objectsOf(path);
    const load = new AbortController();
    const working = Promise.all([
      pusher.push(load.signal),
      maintainUntil(arena, load.signal),
      readUntil(arena, load.signal),
    ]);
    await sleep(random() * LONGEST_LIFE * runMs);
    arena.gitaly.kill('SIGKILL');
    // Every second time git dies as well; otherwise it goes on without the server.
    const storage = join(arena.directory, 'default');
    if (kill % 2 === 0) for (const pid of processIdsIn(storage)) killIfThere(pid);
    await sleep(CLIENTS_NOTICE_MS);
    load.abort();
    const [, ran, read] = await working;
    runs += ran;
    reads += read;
    await until(
      () => processesIn(storage).length === 0,
      () => `orphans: ${processesIn(storage).join('\n')}`,
    );
    left += leftIn(arena).length;

    const after = new Set(await objectsOf(path));
    assert.deepEqual(
      before.filter((oid) => !after.has(oid)),
      [],
      'reachable objects were lost',
    );
    await pusher.check();
    assert.equal(await runGit(['-C', path, 'rev-parse', 'refs/keep-around/extra']), extra);

    await arena.restart();
    await until(
      () => leftIn(arena).length === 0,
      () => `left after the restart: ${leftIn(arena).join('\n')}`,
    );
    runMs = await maintain(arena);
    await arena.fsck(NAME);
    await pusher.mustPush();
  }

  context.diagnostic(`${runs} runs and ${reads} reads before the kills, ${left} files left behind`);
});

/** Runs all maintenance once. @returns its duration in milliseconds. */
async function maintain(arena: Arena): Promise<number> {
  const connection = await arena.gitaly.connect();
  const startedAt = performance.now();
  await connection.repository.optimizeRepository({ repository, strategy: Strategy.EAGER });
  const ms = performance.now() - startedAt;
  await connection.close();
  return ms;
}

/** @returns how many runs succeeded. */
async function maintainUntil(arena: Arena, stop: AbortSignal): Promise<number> {
  let count = 0;
  for (; !stop.aborted; count++) {
    const isDone = await maintain(arena).then(
      () => true,
      () => false,
    );
    if (!isDone) break;
  }
  return count;
}

/** Reads the newest commits. @returns how many reads succeeded; none may miss an object. */
async function readUntil(arena: Arena, stop: AbortSignal): Promise<number> {
  let count = 0;
  const connection = await arena.gitaly.connect();
  try {
    for (; !stop.aborted; count++) {
      const revision = Buffer.from('main');
      const { commit } = await connection.commit.findCommit({ repository, revision });
      assert.ok(commit !== undefined, 'the branch is gone');
    }
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'UNAVAILABLE')) throw error;
  } finally {
    await connection.close();
  }
  return count;
}

/** Ids of everything that the references lead to. */
async function objectsOf(path: string): Promise<string[]> {
  const lines = (await runGit(['-C', path, 'rev-list', '--objects', '--all'])).split('\n');
  return lines.map((line) => line.split(' ')[0] ?? '');
}

function leftIn(arena: Arena): string[] {
  const files = readdirSync(arena.serverPath(NAME), { recursive: true, encoding: 'utf8' });
  const own = files.filter((name) => /(?:^|\/)(?:\.tmp-|tmp_)|\.lock$|packed-refs\.new$/.test(name));
  return [...new Set([...own, ...leftoversIn(arena.directory)])];
}

function killIfThere(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended.
  }
}
