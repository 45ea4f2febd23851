import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import type { Archive } from '#archive/archive';
import { archiveDirectory } from '#archive/publish/archive-directory';
import { commitFiles } from '#client/index';
import { gitOutput } from '#testkit/repositories/init-repository';
import { seededRandom } from '#testkit/repositories/random-history';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { repetitions } from '#testkit/soak';
import { startGitalyProcess } from '#testkit/start-gitaly-process';
import { testSeed } from '#testkit/test-seed';
import { until } from '#testkit/until';
import { USER } from '#testkit/user';
import { startArchived } from './archived-server.ts';
import { RandomChanges, repositoriesIn } from './random-changes.ts';
import { stateOf } from './repository-state.ts';

const KILLS = repetitions('ARCHIVE_KILLS', { short: 2, long: 60 });
/** Commits of the counter in a life, which takes up to some seconds. */
const MIN_COMMITS = 5;
const MAX_COMMITS = 120;
/** Number of kills after which the disk is lost, too. */
const LOST_EVERY = 2;
/** Changes that are older are never lost. */
const MAX_LOSS_MS = 2000;
const COUNTER = 'counter.git';
const { signal } = new AbortController();
const seed = testSeed('ARCHIVE_SEED');
const target = { storageName: 'default', relativePath: COUNTER, glRepository: 'project-1' };

/** A commit of the counter, and when its call ended. */
interface Acknowledged {
  readonly oid: string;
  readonly atMs: number;
}

/** Runs a server until a random commit, makes changes, and kills it. @returns the commits of the counter. */
async function liveAndDie(directory: string, archive: string, random: () => number) {
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
  const commits = MIN_COMMITS + random() * (MAX_COMMITS - MIN_COMMITS);
  await until(() => acknowledged.length >= commits);
  const killedMs = Date.now();
  isOver = true;
  gitaly.kill('SIGKILL');
  await gitaly.exited;
  await Promise.all(working);
  for (const connection of [changing, counting]) await connection.close();
  await gitaly[Symbol.asyncDispose]();
  return { acknowledged, killedMs };
}

/** Checks that the archive has all that the disk has. */
async function checkEqual(archive: Archive, storage: string): Promise<void> {
  await archive.settle('default');
  for (const path of repositoriesIn(storage)) {
    await archive.restore({ storage: 'default', path }, { to: 'compared.git', replaces: true, signal });
    assert.deepEqual(stateOf(join(storage, 'compared.git')), stateOf(join(storage, path)), path);
  }
  const [status] = archive.status('default');
  assert.deepEqual(status?.failed, []);
}

/** Removes all of a storage but the name of the server's lease, which would be waited for otherwise. */
function loseDisk(storage: string, url: string): void {
  const own = archiveDirectory({ path: storage }, url);
  const holder = readFileSync(join(own, 'holder'));
  rmSync(storage, { recursive: true, force: true });
  mkdirSync(own, { recursive: true });
  writeFileSync(join(own, 'holder'), holder);
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

async function killOnce(
  context: TestContext,
  directory: string,
  isLost: boolean,
  random: () => number,
): Promise<void> {
  const bucket = pathToFileURL(join(directory, 'bucket')).href;
  const life = await liveAndDie(directory, bucket, random);
  context.diagnostic(`${isLost ? 'lost' : 'kept'}: ${life.acknowledged.length} commits of the counter`);
  const storage = join(directory, 'default');
  if (isLost) loseDisk(storage, bucket);
  await using archived = await startArchived({ directory, url: bucket });
  if (isLost) {
    await archived.archive.settle('default');
    const results = await Array.fromAsync(archived.archive.restoreStorage('default', { signal }));
    assert.deepEqual(
      results.filter(({ result }) => result !== 'restored'),
      [],
    );
    checkCounter(storage, life);
  }
  await checkEqual(archived.archive, storage);
}

test('an archive has all after a kill, and all but two seconds without the disk', async (context) => {
  context.diagnostic(`ARCHIVE_SEED=${seed}`);
  const random = seededRandom(seed);
  const directory = makeScratchDirectory('ark');
  context.after(() => rmSync(directory, { recursive: true, force: true }));
  for (let kill = 1; kill <= KILLS; kill++)
    await killOnce(context, directory, kill % LOST_EVERY === 0, random);
});
