import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { programCommand } from '#testkit/programs/program-command';
import { run } from '#testkit/run-program';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { startCluster } from '#testkit/start-cluster';
import { until } from '#testkit/until';
import { openClusterConsole } from './open-cluster-console.ts';
import { openConsole } from './open-console.ts';

const storageName = 'default';

function scratch(context: TestContext): string {
  const directory = makeScratchDirectory('console-backups');
  context.after(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

/** Runs a program that must succeed. */
async function succeed(
  program: 'gitaly-backup' | 'gitaly-ts',
  args: readonly string[],
  more: Parameters<typeof run>[2] = {},
) {
  const result = await run(process.execPath, [...programCommand(program), ...args], more);
  assert.equal(result.code, 0, result.stderr);
}

/** Returns the names, programs and numbers of backups. */
function facts(backups: readonly Record<string, unknown>[]) {
  return backups.map(({ failed, id, isEnded, program, repositories, storage }) => [
    storage,
    program,
    id,
    repositories,
    failed,
    isEnded,
  ]);
}

test('the overview has the last server-side backup, and the last one without a failure', async (context) => {
  const bucket = scratch(context);
  await using console = await openConsole({ config: { backup: { go_cloud_url: `file://${bucket}` } } });
  const repository = await console.gitaly.createRepository({ relativePath: 'a.git', commits: 1 });
  await console.gitaly.createRepository({ relativePath: 'b.git', commits: 1 });
  const { connection } = console.gitaly;
  assert.match((await console.get('/overview')).text, /The server knows of none/);
  const backUp = async (relativePath: string, backupId: string) => {
    const target = { ...repository, relativePath };
    await connection.repository.backupRepository({ repository: target, vanityRepository: target, backupId });
  };
  const last = async () => (await console.json('/overview')).backups;
  const before = Date.now();

  await backUp('a.git', '1');
  assert.deepEqual(facts(await last()), [['default', '', '1', 1, 0, false]]);
  assert.match((await console.get('/overview')).text, /<em>not ended<\/em>/);
  await backUp('b.git', '1');
  await connection.backup.writeBackupID({ storageName, backupId: '1' });
  assert.deepEqual(facts(await last()), [['default', '', '1', 2, 0, true]]);
  rmSync(bucket, { recursive: true });
  await assert.rejects(backUp('b.git', '2'));

  const [failed, good, ...others] = await last();
  assert.deepEqual(facts([failed, good]), [
    ['default', '', '2', 0, 1, false],
    ['default', '', '1', 2, 0, true],
  ]);
  assert.deepEqual(others, []);
  assert.equal(failed.failedRepository, 'b.git');
  assert.ok(Date.parse(good.time) >= before - 1000);
  const { text } = await console.get('/overview');
  assert.match(
    text,
    /<td[^>]*>this server<\/td><td[^>]*>2<\/td><td[^>]*>0<\/td><td[^>]*>1<\/td><td[^>]*>b\.git: /,
  );
});

test('backups that programs make over RPC are shown, with what failed', async (context) => {
  const to = scratch(context);
  await using console = await openConsole();
  const { address } = console.gitaly;
  await console.gitaly.createRepository({ relativePath: 'a.git', commits: 1 });
  await console.gitaly.createRepository({ relativePath: 'b.git' });
  const jobs = (...paths: string[]) =>
    paths
      .map((path) => JSON.stringify({ address, storage_name: storageName, relative_path: path }))
      .join('\n');

  await succeed('gitaly-ts', ['backup', 'create', address, '--to', join(to, 'a'), '--id', 'one']);
  await succeed('gitaly-backup', ['create', '-path', join(to, 'b'), '-id', 'two'], {
    input: jobs('a.git', 'b.git', 'missing.git'),
  });
  const { backups } = await console.json('/overview');
  assert.deepEqual(facts(backups), [
    ['default', 'gitaly-backup', 'two', 3, 0, true],
    ['default', 'gitaly-ts backup', 'one', 2, 0, true],
  ]);

  const busy = { code: 'INTERNAL', message: '<b>busy' } as const;
  console.gitaly.faults.add('ListRefs', { refuse: busy, times: 1 });
  const args = [...programCommand('gitaly-ts'), 'backup', 'create', address, '--to', join(to, 'a')];
  const partial = await run(process.execPath, [...args, '--id', 'three']);
  assert.equal(partial.code, 3, partial.stderr);
  const now = (await console.json('/overview')).backups;
  assert.deepEqual(facts(now), [['default', 'gitaly-ts backup', 'three', 1, 1, true], ...facts(backups)]);
  assert.match(now[0].failedRepository, /^[ab]\.git$/);
  assert.match((await console.get('/overview')).text, /<td[^>]*>[ab]\.git: .*&lt;b&gt;busy/);
});

test('a report is about a known storage, and names a backup and a program', async () => {
  await using console = await openConsole();
  const { backupRuns } = console.gitaly.connection;
  const run = { id: 'one', program: 'mine', repositories: 1n, problem: 'x'.repeat(9999) };
  const refused = { code: 'INVALID_ARGUMENT' };

  await assert.rejects(backupRuns.report({ storageName: 'other', run }), refused);
  await assert.rejects(backupRuns.report({ storageName }), refused);
  for (const wrong of [{ id: '' }, { program: '' }, { program: 'p'.repeat(2000) }])
    await assert.rejects(backupRuns.report({ storageName, run: { ...run, ...wrong } }), refused);
  await assert.rejects(backupRuns.last({ storageName: 'other' }), refused);
  assert.deepEqual((await backupRuns.last({ storageName })).runs, []);
  await backupRuns.report({ storageName, run });
  assert.equal((await backupRuns.last({ storageName })).runs[0]?.problem.length, 4096);
});

test('a cluster knows the backups of its nodes, and reports outlive a node', async (context) => {
  const to = scratch(context);
  const gitalyConfig = { backup: { go_cloud_url: `file://${join(to, 'bucket')}` } };
  await using cluster = await startCluster({ gitalyConfig });
  const { address, connection } = cluster;
  const targets = ['a.git', 'b.git', 'c.git'].map((relativePath) => ({ storageName, relativePath }));
  for (const repository of targets) await connection.repository.createRepository({ repository });
  await using console = await openClusterConsole(cluster);

  for (const repository of targets)
    await connection.repository.backupRepository({
      repository,
      vanityRepository: repository,
      backupId: 'server',
    });
  await connection.backup.writeBackupID({ storageName, backupId: 'server' });
  await succeed('gitaly-ts', ['backup', 'create', address, '--to', join(to, 'a'), '--id', 'one']);

  assert.deepEqual(facts((await console.json('/overview')).backups), [
    ['default', 'gitaly-ts backup', 'one', 3, 0, true],
    ['default', '', 'server', 3, 0, true],
  ]);
  await assert.rejects(connection.backupRuns.last({ storageName: 'gitaly-1' }), { code: 'INVALID_ARGUMENT' });
  // One node has stored it, another one was told of its end.
  const direct = { storageName: 'gitaly-1', relativePath: 'direct.git' };
  const [first, , third] = cluster.nodes.map((node) => node.connection);
  await first?.repository.createRepository({ repository: direct });
  const target = { repository: direct, vanityRepository: direct, backupId: 'direct' };
  await first?.repository.backupRepository(target);
  await third?.backup.writeBackupID({ storageName: 'gitaly-3', backupId: 'direct' });
  const { runs } = await connection.backupRuns.last({ storageName });
  assert.deepEqual(
    runs.map(({ id, isEnded, repositories }) => [id, Number(repositories), isEnded]),
    [
      ['direct', 1, true],
      ['one', 3, true],
    ],
  );
  const disks = (await console.json('/overview')).nodeDisks;
  assert.deepEqual(
    disks.map(({ name, usedBytes }: { name: string; usedBytes: number }) => [name, usedBytes > 0]),
    ['gitaly-1', 'gitaly-2', 'gitaly-3'].map((name) => [name, true]),
  );
  await cluster.stopNode(1);
  // Until praefect knows that the node is gone, ServerInfo may be without its storage.
  const shown = async () => (await console.json('/overview')).backups ?? [];
  await until(async () => (await shown()).length > 0);
  const [reported] = await shown();
  assert.deepEqual(facts([reported]), [['default', 'gitaly-ts backup', 'one', 3, 0, true]]);
});
