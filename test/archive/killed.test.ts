import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { commitFiles } from '#client/index';
import { gitOutput } from '#testkit/repositories/init-repository';
import { seededRandom } from '#testkit/repositories/random-history';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { startGitalyProcess } from '#testkit/servers/start-gitaly-process';
import { repetitions } from '#testkit/soak';
import { testSeed } from '#testkit/test-seed';
import { until } from '#testkit/until';
import { USER } from '#testkit/user';
import { startArchived } from './archived-server.ts';
import { checkEqual, checkWhole, loseDisk, restoreAll } from './check-archive.ts';
import { RandomChanges } from './random-changes.ts';

const KILLS = repetitions('ARCHIVE_KILLS', { short: 2, long: 60 });
/** Most commits of the counter in a life. One before the disk is lost takes some seconds. */
const MAX_COMMITS = { kept: 25, lost: 120 };
/** Longest time for the commits of a life, on a busy machine. */
const COMMITS_MS = 120_000;
/** Number of kills after which the disk is lost, too. */
const LOST_EVERY = KILLS < 10 ? 2 : 10;
/** Changes that are older are never lost. */
const MAX_LOSS_MS = 2000;
const COUNTER = 'counter.git';
const seed = testSeed('ARCHIVE_SEED');
const target = { storageName: 'default', relativePath: COUNTER, glRepository: 'project-1' };

/** A commit of the counter, and when its call ended. */
interface Acknowledged {
  readonly oid: string;
  readonly atMs: number;
}

/** Runs a server until it has made some commits, and kills it. @returns the commits of the counter. */
async function liveAndDie(directory: string, archive: string, commits: number, random: () => number) {
  const gitaly = await startGitalyProcess({ directory, archive });
  const [changing, counting] = [await gitaly.connect(), await gitaly.connect()];
  const changes = new RandomChanges({
    connection: changing,
    address: gitaly.address,
    random,
    objectFormat: 'sha1',
  });
  const acknowledged: Acknowledged[] = [];
  let isOver = false;
  const change = async (): Promise<void> => {
    while (!isOver) await changes.next();
  };
  const count = async (): Promise<void> => {
    await counting.repository.createRepository({ repository: target }).catch(() => {}); // it may exist
    const fields = { repository: target, user: USER, branchName: Buffer.from('main') };
    for (let number = 0; !isOver; number++) {
      const commitMessage = Buffer.from(`${Date.now()} ${number}`);
      const update = await commitFiles(counting, { ...fields, commitMessage }, [
        { type: 'create', path: commitMessage.toString(), content: 'x' },
      ]).catch(() => undefined);
      if (update?.commitId !== undefined) acknowledged.push({ oid: update.commitId, atMs: Date.now() });
    }
  };
  const working = [change(), count()];
  let killedMs = 0;
  try {
    await until(() => acknowledged.length >= commits, 'the commits of the counter', COMMITS_MS);
  } finally {
    killedMs = Date.now();
    isOver = true;
    gitaly.kill('SIGKILL');
    await gitaly.exited;
    await Promise.all(working);
    for (const connection of [changing, counting]) await connection.close();
    await gitaly[Symbol.asyncDispose]();
  }
  return { acknowledged, killedMs };
}

/** Checks that the counter has all commits that were acknowledged some time before the kill. */
function checkCounter(
  storage: string,
  { acknowledged, killedMs }: Awaited<ReturnType<typeof liveAndDie>>,
): void {
  const old = acknowledged.filter(({ atMs }) => atMs < killedMs - MAX_LOSS_MS).at(-1);
  if (old === undefined) return;
  const commits = gitOutput(join(storage, COUNTER), ['rev-list', 'main']).split('\n');
  assert.ok(commits.includes(old.oid), 'a commit that is older than two seconds is missing');
}

/** Kills a server, and checks what the next one has. @returns the number of commits of the counter. */
async function killOnce(directory: string, isLost: boolean, random: () => number): Promise<number> {
  const bucket = pathToFileURL(join(directory, 'bucket')).href;
  const commits = Math.ceil(random() * (isLost ? MAX_COMMITS.lost : MAX_COMMITS.kept));
  const life = await liveAndDie(directory, bucket, commits, random);
  const storage = join(directory, 'default');
  if (isLost) loseDisk(storage, bucket);
  await using archived = await startArchived({ directory, url: bucket });
  if (isLost) {
    await restoreAll(archived);
    checkCounter(storage, life);
  }
  await checkEqual(archived);
  if (isLost) {
    await checkWhole(archived);
    // It begins again, so that its history does not grow with the number of kills.
    await archived.connection.repository.removeRepository({ repository: target });
  }
  return life.acknowledged.length;
}

test('an archive has all after a kill, and all but two seconds without the disk', async (context) => {
  context.diagnostic(`ARCHIVE_SEED=${seed}`);
  const random = seededRandom(seed);
  const directory = makeScratchDirectory('ark');
  context.after(() => rmSync(directory, { recursive: true, force: true }));
  let [commits, kills, lost] = [0, 0, 0];
  try {
    while (kills < KILLS) {
      const isLost = (kills + 1) % LOST_EVERY === 0;
      commits += await killOnce(directory, isLost, random);
      kills++;
      if (isLost) lost++;
    }
  } finally {
    context.diagnostic(`${kills} kills, ${lost} lost disks, ${commits} commits of the counter`);
  }
});
