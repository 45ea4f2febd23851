import assert from 'node:assert/strict';
import { renameSync } from 'node:fs';
import { test } from 'node:test';
import { until } from '#testkit/until';
import { CALL_STATUS, IDLE_STATUS } from '#testkit/values/idle-status';
import { openConsole } from './open-console.ts';

const HOSTILE = '"><img src=x onerror=alert(1)>';

/** State of a praefect that serves no call. */
const AN_IDLE_PRAEFECT = { ...IDLE_STATUS, git_version: '' };

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

test('a storage whose directory is missing is shown as not readable', async () => {
  await using console = await openConsole();
  const path = console.gitaly.storagePath();
  assert.match((await console.get('/overview')).text, /<td>healthy<\/td>/);

  renameSync(path, `${path}-away`);
  try {
    const { text } = await console.get('/overview');

    assert.match(text, /<td>not readable<\/td>/);
    assert.doesNotMatch(text, /not writable|healthy/);
  } finally {
    renameSync(`${path}-away`, path);
  }
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

test('a page about a process that does not respond is shown once it does', async () => {
  let isAway = true;
  const nothing = async () => undefined;
  await using console = await openConsole({ sources: { status: nothing, history: nothing } });
  await using other = await openConsole({
    sources: { status: async () => (isAway ? undefined : AN_IDLE_PRAEFECT) },
  });

  for (const page of ['/running', '/slow', '/webhooks']) {
    const { status, text } = await console.get(page);
    assert.equal(status, 503, page);
    assert.match(text, /<main id="main" data-live>.*<div data-refresh>.*does not respond in time/s, page);
    assert.match((await console.json(page)).error, /does not respond/, page);
  }
  assert.equal((await console.get('/overview')).status, 200);
  assert.equal((await other.get('/running')).status, 503);
  isAway = false;
  assert.match((await other.get('/running')).text, /No call is running/);
});

test('counters that are declared to be shown are on the overview, with hit rates of caches', async () => {
  const counters = [
    { title: 'Packs', kind: 'cache', values: { 'result="hit"': 3, 'result="miss"': 1 } },
    { title: 'Kept answers', kind: 'cache', values: {} },
    { title: 'Fetches', kind: 'counter', values: { 'kind="shared"': 5, [`kind="${HOSTILE}"`]: 1 } },
  ] as const;
  const status = { ...AN_IDLE_PRAEFECT, git_version: '2.53.0', counters };
  await using console = await openConsole({ sources: { status: async () => status } });

  const { text } = await console.get('/overview');

  assert.match(text, /<td[^>]*>Packs<\/td><td[^>]*>3<\/td><td[^>]*>1<\/td><td[^>]*>75 %/);
  assert.match(text, /<td[^>]*>Kept answers<\/td>.*not used yet/);
  assert.match(text, /<td[^>]*>Fetches<\/td><td[^>]*>kind=&quot;shared&quot;<\/td><td[^>]*>5<\/td>/);
  assert.doesNotMatch(text, /<img/);
});

test('a node that does not respond is named, the calls of the others are shown', async () => {
  const call = {
    ...CALL_STATUS,
    method: `/gitaly.RepositoryService/${HOSTILE}`,
    repository: '@cluster/repositories/1',
    client: HOSTILE,
    correlation_id: 'of-node-1',
    processes: [{ pid: 7, command: `git ${HOSTILE}`, age_ms: 4, directory: '' }],
  };
  const status = { ...AN_IDLE_PRAEFECT, git_version: '2.53.0', call_count: 1, calls: [call] };
  const nodes = [
    { storage: 'gitaly-1', status },
    { storage: HOSTILE, status: null },
  ];
  await using console = await openConsole({
    sources: {
      status: async () => AN_IDLE_PRAEFECT,
      nodes: { status: async () => nodes, history: async () => [{ storage: HOSTILE, history: null }] },
    },
  });

  const { text } = await console.get('/running');
  assert.match(text, /<td[^>]*>gitaly-1<\/td>.*git &quot;&gt;&lt;img.*<\/code> \(7\)/);
  assert.match(text, /onerror=alert\(1\)&gt; does not respond/);
  assert.match((await console.get('/overview')).text, /<td[^>]*>does not respond<\/td>/);
  for (const page of ['/running', '/overview', '/slow'])
    assert.doesNotMatch((await console.get(page)).text, /<img/, page);
  const shown = await console.json('/running');
  assert.deepEqual(
    shown.nodes.map((node: { status: { calls: unknown[] } | null }) => node.status?.calls),
    [[call], undefined],
  );
});
