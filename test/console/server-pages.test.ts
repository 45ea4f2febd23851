import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { test } from 'node:test';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { until } from '#testkit/until';
import { openConsole } from './open-console.ts';

test('a slow call is shown with its git commands, others are not', async () => {
  await using console = await openConsole();
  const repository = await console.gitaly.createRepository({ relativePath: 'a.git', commits: 1 });
  const { connection, faults } = console.gitaly;
  await connection.repository.repositoryExists({ repository });
  faults.add('Fsck', { delayMs: 600 });
  await connection.repository.fsck({ repository });
  faults.add('FindCommit', { delayMs: 600 });
  await assert.rejects(connection.commit.findCommit({ repository, revision: Buffer.from('-x') }));

  const { calls } = await console.json('/slow');
  assert.deepEqual(
    calls.map(({ method, repository: path, status }: Record<string, string>) => [method, path, status]),
    [
      ['/gitaly.CommitService/FindCommit', 'a.git', 'InvalidArgument'],
      ['/gitaly.RepositoryService/Fsck', 'a.git', 'OK'],
    ],
  );
  const [, fsck] = calls;
  assert.ok(fsck.duration_ms >= 590);
  assert.ok(fsck.explanation.commands.some(({ args }: { args: string[] }) => args.includes('fsck')));
  assert.deepEqual((await console.json('/slow?over=60000')).calls, []);
  assert.match((await console.get('/slow')).text, /RepositoryService\/Fsck/);
});

test('a running call is cancelled by its correlation id, others go on', async () => {
  await using console = await openConsole();
  const repository = await console.gitaly.createRepository({ relativePath: 'a.git', commits: 1 });
  const { connection, faults } = console.gitaly;
  faults.add('RepositorySize', { delayMs: 60_000, times: 1 });
  faults.add('ObjectFormat', { delayMs: 1000, times: 1 });
  const cancelled = assert.rejects(connection.repository.repositorySize({ repository }), {
    code: 'CANCELLED',
    message: /cancelled by an operator/,
  });
  const other = connection.repository.objectFormat({ repository });
  const running = async (): Promise<{ method: string; correlation_id: string }[]> =>
    (await console.json('/running')).calls;
  await until(async () => (await running()).length === 2);
  const call = (await running()).find(({ method }) => method.endsWith('RepositorySize'));
  assert.match(
    (await console.get('/running')).text,
    /aria-label="Cancel \/gitaly.RepositoryService\/RepositorySize"/,
  );
  const post = (id: string, headers: Record<string, string> = {}) =>
    fetch(`${console.url}/running?cancel=${id}`, { method: 'POST', redirect: 'manual', headers });

  assert.equal((await post(call?.correlation_id ?? '', { Origin: 'http://evil.example' })).status, 403);
  assert.equal((await post('unknown')).status, 303);
  assert.equal((await running()).length, 2);
  assert.equal((await post(call?.correlation_id ?? '')).status, 303);
  await cancelled;
  await other;
});

test('the overview has plots of the last hour', async () => {
  await using console = await openConsole();

  const { lastHour } = await console.json('/overview');
  assert.deepEqual([lastHour.intervalSeconds, Array.isArray(lastHour.samples)], [10, true]);
  const { text } = await console.get('/overview');
  assert.equal(text.match(/<figure class="plot">/g)?.length, 6);
  assert.match(text, /Hit rate/);
});

test('the overview has the last server-side backups, and what failed', async (context) => {
  const bucket = makeScratchDirectory('console-backups');
  context.after(() => rmSync(bucket, { recursive: true, force: true }));
  await using console = await openConsole({ config: { backup: { go_cloud_url: `file://${bucket}` } } });
  const repository = await console.gitaly.createRepository({ relativePath: 'a.git', commits: 1 });
  assert.match((await console.get('/overview')).text, /None since the server has started/);
  const backUp = (relativePath: string, backupId: string) =>
    console.gitaly.connection.repository.backupRepository({
      repository: { ...repository, relativePath },
      vanityRepository: { ...repository, relativePath },
      backupId,
    });
  const before = Date.now();

  await backUp('a.git', '1');
  rmSync(bucket, { recursive: true });
  await assert.rejects(backUp('a.git', '2'));

  const [backups, ...others] = (await console.json('/overview')).status.backups;
  assert.deepEqual(others, []);
  assert.deepEqual([backups.storage, backups.done, backups.failed], ['default', 1, 1]);
  assert.ok(Date.parse(backups.last_success) >= before);
  assert.equal(backups.last_failure.repository, 'a.git');
  const { text } = await console.get('/overview');
  assert.match(text, /Last good one/);
  assert.ok(text.includes(`<time datetime="${backups.last_success}">`));
});
