import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { systemErrorCode } from '#base/go/system-error';
import { ownerSuffix } from '#base/process-identity';
import { QUIET_MS } from '#domain/housekeeping/schedule/quiet/decide-start';
import { addCommit, gitOutput, initRepository } from '#testkit/repositories/init-repository';
import { startGitaly, type TestGitaly } from '#testkit/start-gitaly';
import { until } from '#testkit/until';

const repository = { storageName: 'default', relativePath: 'x.git' };
const DAY_MS = 24 * 60 * 60 * 1000;
const AUTOMATIC = { config: { housekeeping: { automatic: true } } };
const pathOf = (gitaly: TestGitaly): string => join(gitaly.storagePath(), repository.relativePath);
const ended = (gitaly: TestGitaly): number =>
  gitaly.log.filter(({ msg }) => msg === 'ended scheduled housekeeping').length;
async function metricsOf(gitaly: TestGitaly): Promise<string> {
  const address = gitaly.log.find(({ msg }) => msg === 'starting prometheus listener')?.address;
  return await (await fetch(`http://${String(address)}/metrics`)).text();
}
const looseReferences = (directory: string): number =>
  readdirSync(join(directory, 'refs'), { recursive: true, withFileTypes: true }).filter((entry) =>
    entry.isFile(),
  ).length;

/** Writes references, one with each call. */
async function write(gitaly: TestGitaly, from: number, to: number): Promise<void> {
  for (let number = from; number <= to; number++) {
    const ref = Buffer.from(`refs/heads/b${number}`);
    await gitaly.connection.repository.writeRef({ repository, ref, revision: Buffer.from('main') });
  }
}

/** Merges a commit into `main`. */
async function merge(gitaly: TestGitaly, commitId: string): Promise<void> {
  const user = {
    glId: 'user-1',
    glUsername: 'jane',
    name: Buffer.from('Jane'),
    email: Buffer.from('j@x.org'),
  };
  const applied = Promise.withResolvers<void>();
  async function* requests() {
    yield { repository, user, commitId, branch: Buffer.from('main'), message: Buffer.from('merge') };
    await applied.promise;
    yield { apply: true };
  }
  for await (const _ of gitaly.connection.operation.userMergeBranch(requests())) applied.resolve();
}

test('references are packed after many writes, and the repository keeps them all', async () => {
  await using gitaly = await startGitaly(AUTOMATIC);
  const directory = pathOf(gitaly);
  initRepository(directory, { commits: 2 });
  for (let number = 1; number <= 20; number++)
    gitOutput(directory, ['update-ref', `refs/heads/old${number}`, 'main']);

  await write(gitaly, 1, 10);
  assert.equal(ended(gitaly), 0);
  await write(gitaly, 11, 11);
  await until(() => ended(gitaly) === 1);

  assert.equal(looseReferences(directory), 0);
  assert.equal(gitOutput(directory, ['for-each-ref']).split('\n').length, 32);
  const begun = gitaly.log.find(({ msg }) => msg === 'beginning scheduled housekeeping');
  assert.deepEqual(begun?.operations, ['packReferences']);
});

test('objects are packed after more writes', async () => {
  await using gitaly = await startGitaly(AUTOMATIC);
  const directory = pathOf(gitaly);
  initRepository(directory, { commits: 5 });

  await write(gitaly, 1, 21);
  await until(() => existsSync(join(directory, 'objects/pack/multi-pack-index')));
  await until(() => existsSync(join(directory, 'objects/info/commit-graphs/commit-graph-chain')));

  gitOutput(directory, ['fsck', '--full', '--strict']);
});

// A repack of a busy repository took more than half of the CPU while merges ran.
test('merges are not accompanied by maintenance, which begins when they end', async () => {
  await using gitaly = await startGitaly(AUTOMATIC);
  const directory = pathOf(gitaly);
  initRepository(directory, { commits: 2 });
  const tip = gitOutput(directory, ['rev-parse', 'main']);
  const begun = () => gitaly.log.filter(({ msg }) => msg === 'beginning scheduled housekeeping');
  const commits = Array.from({ length: 40 }, (_, number) =>
    gitOutput(directory, ['commit-tree', `${tip}^{tree}`, '-p', tip, '-m', `side ${number}`]),
  );

  let longestGapMs = 0;
  let endedAtMs = performance.now();
  for (const commitId of commits) {
    await merge(gitaly, commitId);
    longestGapMs = Math.max(longestGapMs, performance.now() - endedAtMs);
    endedAtMs = performance.now();
  }
  // On a machine that stops this process for that long, the repository was quiet.
  if (longestGapMs < QUIET_MS) assert.equal(begun().length, 0);
  await until(() => ended(gitaly) > 0);

  assert.ok(existsSync(join(directory, 'objects/pack/multi-pack-index')));
  assert.equal(typeof begun().at(-1)?.waited_ms, 'number');
  assert.match(String(begun().at(-1)?.start_reason), /^(quiet|overdue)$/);
});

test('nothing starts after writes when that is switched off, nor after refused ones', async () => {
  await using off = await startGitaly();
  initRepository(pathOf(off), { commits: 1 });
  await write(off, 1, 25);
  assert.equal(off.log.filter(({ msg }) => msg === 'optimized repository').length, 0);

  await using gitaly = await startGitaly(AUTOMATIC);
  for (let call = 0; call < 25; call++)
    await assert.rejects(gitaly.connection.repository.writeRef({ repository, ref: Buffer.from('HEAD') }));
  await gitaly.connection.server.serverInfo({});
  assert.equal(gitaly.log.filter(({ msg }) => /housekeeping/.test(String(msg))).length, 0);
});

test('a repository with many files is maintained after its first read', async () => {
  await using gitaly = await startGitaly(AUTOMATIC);
  const directory = pathOf(gitaly);
  initRepository(directory, { commits: 2 });
  const updates = Array.from({ length: 600 }, (_, number) => `create refs/heads/b${number} main\n`);
  gitOutput(directory, ['update-ref', '--stdin'], updates.join(''));

  await gitaly.connection.commit.findCommit({ repository, revision: Buffer.from('main') });
  await until(() => ended(gitaly) === 1);

  assert.equal(looseReferences(directory), 0);
});

test('reads go on while a repository is repacked', async () => {
  await using gitaly = await startGitaly();
  const directory = pathOf(gitaly);
  initRepository(directory, { commits: 30 });
  const commits = gitOutput(directory, ['rev-list', 'main']).split('\n');
  let isOver = false;
  const reading = (async () => {
    for (let at = 0; !isOver || at < commits.length; at++) {
      const id = commits[at % commits.length] ?? '';
      const found = await gitaly.connection.commit.findCommit({ repository, revision: Buffer.from(id) });
      assert.equal(found.commit?.id, id);
    }
  })();
  for (let round = 0; round < 4; round++) {
    await gitaly.connection.repository.optimizeRepository({ repository, strategy: 2 });
    commits.push(addCommit(directory, 31 + round));
  }
  isOver = true;
  await reading;
});

test('an aborted run leaves a repository without locks and temporary files', async () => {
  await using gitaly = await startGitaly();
  const directory = pathOf(gitaly);
  initRepository(directory, { commits: 20 });
  const abort = new AbortController();
  const call = gitaly.connection.repository.optimizeRepository(
    { repository, strategy: 2 },
    { signal: abort.signal },
  );
  await until(() => existsSync(join(directory, '.gitaly-full-repack-timestamp')));
  abort.abort();
  await Promise.allSettled([call]);

  const optimize = async (): Promise<boolean> => {
    const [run] = await Promise.allSettled([
      gitaly.connection.repository.optimizeRepository({ repository, strategy: 2 }),
    ]);
    return run.status === 'fulfilled';
  };
  // Unlike readdirSync, `find` passes over what disappears meanwhile.
  const left = (what: RegExp): string[] =>
    spawnSync('find', [directory])
      .stdout.toString()
      .split('\n')
      .filter((file) => what.test(file));

  // The next run does everything. The git of the aborted one may still be ending.
  await until(
    async () => (await optimize()) && left(/\.lock$|\.tmp-/).length === 0,
    () => left(/\.lock$|\.tmp-/).join(' '),
  );

  // What git was writing when it was ended may be another process's, until it is old.
  const old = new Date(Date.now() - 2 * DAY_MS);
  await until(
    async () => {
      for (const file of left(/tmp_/))
        try {
          utimesSync(file, old, old);
        } catch (error) {
          if (systemErrorCode(error) !== 'ENOENT') throw error; // removed by the git that wrote it
        }
      return (await optimize()) && left(/tmp_/).length === 0;
    },
    () => left(/tmp_/).join(' '),
  );
  gitOutput(directory, ['fsck', '--full', '--strict']);
});

test('maintenance is counted', async () => {
  await using gitaly = await startGitaly({
    config: { prometheus_listen_addr: '127.0.0.1:0' },
  });
  initRepository(pathOf(gitaly), { commits: 3 });
  await gitaly.connection.repository.optimizeRepository({ repository });

  const text = await metricsOf(gitaly);

  for (const line of [
    'gitaly_housekeeping_tasks_total{housekeeping_task="packed_objects_geometric",status="success"} 1',
    'gitaly_housekeeping_tasks_total{housekeeping_task="total",status="success"} 1',
    'gitaly_housekeeping_data_structure_existence_total{data_structure="commit_graph",exists="false"} 1',
    'gitaly_housekeeping_pruned_files_total{filetype="locks"} 0',
    'gitaly_housekeeping_tasks_latency_count{housekeeping_task="total",stage="apply"} 1',
  ])
    assert.ok(text.includes(line), line);
});

test('what a dead server left in a repository is removed at the start, and counted', async () => {
  const dead = ownerSuffix().replace(/\.\d+\.\d+$/, `.${spawnSync('true').pid}.1`);
  const prepare = (directory: string) => {
    const path = join(directory, 'default', repository.relativePath);
    const pending = join(directory, 'default/+gitaly/state', repository.relativePath, 'pending');
    initRepository(path, { commits: 1 });
    for (const name of ['HEAD.lock', 'config.lock', 'refs/heads/x.lock']) writeFileSync(join(path, name), '');
    mkdirSync(pending, { recursive: true });
    writeFileSync(join(pending, `1${dead}`), '');
    spawnSync('sleep', ['0.2']); // younger files may be those of a change that begins now
    return { prometheus_listen_addr: '127.0.0.1:0' };
  };
  await using gitaly = await startGitaly({ config: prepare });

  await until(() => gitaly.log.some(({ msg }) => msg === 'removed files left by crashed processes'));

  assert.deepEqual(
    readdirSync(pathOf(gitaly), { recursive: true }).filter((name) => String(name).endsWith('.lock')),
    [],
  );
  const text = await metricsOf(gitaly);
  for (const [kind, count] of Object.entries({ locks: 2, reflocks: 1 }))
    assert.match(
      text,
      new RegExp(`gitaly_housekeeping_pruned_files_total\\{filetype="${kind}"\\} ${count}\n`),
    );
});
