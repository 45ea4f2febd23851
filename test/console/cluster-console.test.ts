import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { freePort } from '#base/network/listening-port';
import { sql } from '#praefect/database/database';
import { clusterTables } from '#testkit/praefect/cluster-tables';
import { runPraefect } from '#testkit/praefect/run-praefect';
import { programCommand } from '#testkit/programs/program-command';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { withoutPostgres as skip, startPostgres } from '#testkit/servers/start-postgres';
import { startServerProgram } from '#testkit/servers/start-server-program';
import { startCluster } from '#testkit/start-cluster';
import { until } from '#testkit/until';
import { type ClusterConsole, openClusterConsole } from './open-cluster-console.ts';

const repository = { storageName: 'default', relativePath: 'team/a.git' };
/** A table that makes a praefect keep what its console shows. */
const CONSOLE = { console: { listen_addr: '127.0.0.1:0' } };
/** Calls that take at least this long are slow. */
const SLOW_MS = 500;
const HOSTILE = '"><img src=x onerror=alert(1)>\u202E.git';

/** Returns slow calls of a method. On a busy machine the creation of the repository is slow, too. */
async function slowCalls(console: ClusterConsole, method: string) {
  const { calls } = await console.json('/slow');
  return calls.filter((each: Record<string, unknown>) => each.method === method);
}

test('the console of a praefect shows what its commands show', { skip }, async () => {
  await using postgres = await startPostgres();
  await using cluster = await startCluster({ database: postgres, config: CONSOLE });
  await cluster.connection.repository.createRepository({ repository });
  await using console = await openClusterConsole(cluster);

  const whole = await console.json('/cluster');
  assert.deepEqual([whole.ok, whole.problems, whole.praefects.length], [true, [], 1]);
  const [{ storages, ...facts }] = whole.virtual_storages;
  assert.deepEqual(facts, { name: 'default', repositories: 1, unavailable: 0, unavailable_paths: [] });
  assert.deepEqual(
    storages.map(({ assigned, healthy, outdated, storage }: Record<string, unknown>) => [
      storage,
      healthy,
      assigned,
      outdated,
    ]),
    ['gitaly-1', 'gitaly-2', 'gitaly-3'].map((storage) => [storage, true, 1, 0]),
  );
  assert.equal(
    storages.reduce((sum: number, { primaries }: { primaries: number }) => sum + primaries, 0),
    1,
  );
  const page = await console.get('/cluster');
  assert.match(page.text, /Everything is healthy and up to date/);
  assert.match(page.text, /<a href="\/-\/console\/cluster" aria-current="page">Cluster<\/a>/);
  for (const path of [
    '/overview',
    '/running',
    '/slow',
    '/webhooks',
    '/repositories',
    '/repository/team/a.git',
    '/repository/team/a.git/-/files',
  ])
    assert.equal((await console.get(path)).status, 200, path);
  const listed = (await console.json('/repositories')).repositories;
  assert.deepEqual(
    listed.map(({ name }: { name: string }) => name),
    ['team/a.git'],
  );
});

test('lost replicas, and what they delay, are shown as dataloss and metadata have them', {
  skip,
}, async () => {
  await using postgres = await startPostgres();
  await using cluster = await startCluster({ database: postgres });
  const lost = { ...repository, relativePath: HOSTILE };
  for (const each of [repository, lost])
    await cluster.connection.repository.createRepository({ repository: each });
  await postgres.database.run(sql`UPDATE storage_repositories SET generation = 0 WHERE storage = 'gitaly-2'`);
  await postgres.database.run(sql`UPDATE repositories SET generation = 3`);
  await postgres.database.run(sql`UPDATE storage_repositories SET generation = 3 WHERE storage = 'gitaly-1'`);
  await postgres.database.run(
    sql`UPDATE repositories SET generation = 9 WHERE relative_path = ${lost.relativePath}`,
  );
  await using console = await openClusterConsole(cluster);

  const { problems, virtual_storages } = await console.json('/cluster');
  assert.deepEqual(virtual_storages[0].unavailable_paths, [HOSTILE]);
  const outdated = virtual_storages[0].storages.map((each: Record<string, unknown>) => each.outdated);
  assert.deepEqual(outdated, [1, 2, 2], 'one replica of two is up to date');
  assert.ok(problems.includes('default: 1 repository is unavailable'), String(problems));
  const dataloss = await runPraefect({ cluster, postgres }, 'dataloss');
  assert.match(dataloss.stdout, /onerror/, 'the command reports the same repository');
  const { text } = await console.get('/cluster');
  assert.doesNotMatch(text, /<img|\u202E/);
  assert.match(text, /&quot;&gt;&lt;img src=x onerror=alert\(1\)&gt;⟨U\+202E⟩\.git/);
});

test('a repository has its replicas on the page about its storage', { skip }, async () => {
  await using postgres = await startPostgres();
  await using cluster = await startCluster({ database: postgres });
  await cluster.connection.repository.createRepository({ repository });
  const author = { name: Buffer.from('Ann'), email: Buffer.from('ann@example.com'), glId: 'user-1' };
  const header = {
    repository,
    user: author,
    branchName: Buffer.from('main'),
    commitMessage: Buffer.from('first'),
    commitAuthorName: author.name,
    commitAuthorEmail: author.email,
  };
  const changes = async function* () {
    yield { userCommitFilesRequestPayload: { case: 'header', value: header } } as const;
  };
  await cluster.connection.operation.userCommitFiles(changes());
  await postgres.database.run(
    sql`UPDATE storage_repositories SET generation = generation - 1 WHERE storage = 'gitaly-3'`,
  );
  await using console = await openClusterConsole(cluster);

  const { replicas } = await console.json('/repository/team/a.git/-/storage');
  assert.deepEqual(
    replicas.map(({ behindBy, storage }: Record<string, unknown>) => [storage, behindBy]),
    [
      ['gitaly-1', 0],
      ['gitaly-2', 0],
      ['gitaly-3', 1],
    ],
  );
  assert.equal(replicas.filter(({ isPrimary }: { isPrimary: boolean }) => isPrimary).length, 1);
  assert.match((await console.get('/repository/team/a.git/-/storage')).text, /behind by 1/);
});

test('praefect opens a console if its configuration names an address', { skip }, async () => {
  await using postgres = await startPostgres();
  await using cluster = await startCluster({ database: postgres, nodes: 1 });
  await cluster.connection.repository.createRepository({ repository });
  const port = await freePort();
  const path = join(cluster.directory, 'praefect.toml');
  const addresses = cluster.nodes.map(({ address }) => address);
  writeFileSync(
    path,
    `socket_path = "${join(cluster.directory, 'other.socket')}"
[console]
listen_addr = "127.0.0.1:${port}"
clone_url = "https://git.example.com"
${clusterTables(postgres, addresses)}`,
  );
  const args = [...programCommand('praefect'), '--config', path];
  await using _ = await startServerProgram({ program: process.execPath, args, port });
  const url = `http://127.0.0.1:${port}/-/console`;

  const status = (await (await fetch(`${url}/cluster?format=json`)).json()) as {
    virtual_storages: unknown[];
  };
  assert.equal(status.virtual_storages.length, 1);
  const text = await (await fetch(`${url}/repository/team/a.git`)).text();
  assert.match(text, /value="https:\/\/git\.example\.com\/team\/a\.git"/);
  const git = await fetch(`http://127.0.0.1:${port}/team/a.git/info/refs?service=git-upload-pack`);
  assert.equal(git.status, 404, 'it serves no git');
});

test('a cluster in memory is shown as far as it is known', async () => {
  await using cluster = await startCluster();
  await cluster.connection.repository.createRepository({ repository });
  await using console = await openClusterConsole(cluster);

  const { praefects, virtual_storages } = await console.json('/cluster');
  assert.deepEqual([praefects, virtual_storages[0].repositories], [null, null]);
  const { status, text } = await console.get('/cluster');
  assert.equal(status, 200);
  assert.match(text, /Virtual storage default/);
  assert.match(text, /<td[^>]*>gitaly-2<\/td><td[^>]*>healthy<\/td><td[^>]*>not known<\/td>/);
  assert.match(text, /Replicas are known only with a database/);
});

test('only administrators see the cluster, and nobody without a name', async () => {
  const directory = makeScratchDirectory('cluster-console');
  try {
    const file = join(directory, 'users');
    const hashOf = (token: string): string => createHash('sha256').update(token).digest('hex');
    writeFileSync(file, `root admin sha256:${hashOf('r')}\nann read sha256:${hashOf('a')} team\n`);
    await using cluster = await startCluster({ config: CONSOLE });
    await cluster.connection.repository.createRepository({ repository });
    await using console = await openClusterConsole(cluster, { auth_file: file });
    const statusOf = async (page: string, token?: string, method = 'GET'): Promise<number> => {
      const headers: Record<string, string> = token === undefined ? {} : { authorization: `Bearer ${token}` };
      return (await fetch(`${console.url}${page}`, { method, headers })).status;
    };

    for (const page of ['/cluster', '/running', '/slow', '/webhooks'])
      assert.deepEqual(
        [await statusOf(page), await statusOf(page, 'a'), await statusOf(page, 'r')],
        [401, 403, 200],
        page,
      );
    assert.deepEqual(
      [
        await statusOf('/running?cancel=1', undefined, 'POST'),
        await statusOf('/running?cancel=1', 'a', 'POST'),
      ],
      [401, 403],
    );
  } finally {
    rmSync(directory, { recursive: true });
  }
});

test('the calls of a praefect are shown with their nodes, can be ended, and are kept when slow', async () => {
  await using cluster = await startCluster({ config: CONSOLE });
  await cluster.connection.repository.createRepository({ repository });
  await using console = await openClusterConsole(cluster);
  const hold = Promise.withResolvers<void>();
  async function* requests() {
    yield { repository, revisions: [Buffer.from('main')] };
    await hold.promise;
  }
  const call = assert.rejects(Array.fromAsync(cluster.connection.commit.checkObjectsExist(requests())), {
    code: 'CANCELLED',
  });
  const shown = async () =>
    (await console.json('/running')).calls.find(({ nodes }: { nodes?: string[] }) => nodes !== undefined);
  await until(async () => (await shown()) !== undefined, 'the call is shown');

  const { correlation_id, method, nodes, repository: path } = await shown();

  assert.deepEqual([method, path], ['/gitaly.CommitService/CheckObjectsExist', 'team/a.git']);
  assert.match(nodes.join(), /^gitaly-[123]$/);
  const { text } = await console.get('/running');
  assert.match(text, />Nodes<.*CheckObjectsExist.*<td[^>]*>gitaly-[123]<\/td>/s);
  assert.doesNotMatch(text, /Limits in use|background processes/, 'praefect has none');
  const [, action = ''] = /<form method="post" action="([^"]+)"/.exec(text) ?? [];
  const address = new URL(action.replaceAll('&amp;', '&'), console.url);
  assert.equal(address.searchParams.get('cancel'), correlation_id);
  await delay(SLOW_MS);
  const { origin } = address;
  assert.equal(
    (await fetch(address, { method: 'POST', headers: { Origin: 'http://evil.example' } })).status,
    403,
  );
  const ended = await fetch(address, { method: 'POST', headers: { Origin: origin }, redirect: 'manual' });
  assert.equal(ended.status, 303);
  await call;
  hold.resolve();
  const calls = await slowCalls(console, '/gitaly.CommitService/CheckObjectsExist');
  assert.deepEqual(
    calls.map((each: Record<string, unknown>) => [each.correlation_id, each.status, each.repository]),
    [[correlation_id, 'Canceled', 'team/a.git']],
  );
  assert.deepEqual(calls[0].explanation.route.storage, nodes[0]);
  const slow = await console.get('/slow');
  assert.match(slow.text, /<dt>route\.storage<\/dt><dd>gitaly-[123]<\/dd>/);
  assert.doesNotMatch(slow.text, /No git command/, 'the node has some');
});

test('a slow write of a praefect says what it waited for, and which nodes had it', async () => {
  await using cluster = await startCluster({ config: CONSOLE });
  await cluster.connection.repository.createRepository({ repository });
  await using console = await openClusterConsole(cluster);
  for (const { faults } of cluster.nodes) faults.add('WriteRef', { delayMs: SLOW_MS });
  const write = () =>
    cluster.connection.repository.writeRef({
      repository,
      ref: Buffer.from('HEAD'),
      revision: Buffer.from('refs/heads/other'),
    });

  await Promise.all([write(), write()]);

  const calls = await slowCalls(console, '/gitaly.RepositoryService/WriteRef');
  assert.equal(calls.length, 2);
  const { nodes: _, route, ...waits } = calls[0].explanation;
  assert.deepEqual([route.primary, ...route.secondaries].sort(), ['gitaly-1', 'gitaly-2', 'gitaly-3']);
  const waitMs = calls.map(
    (each: { explanation: Record<string, number> }) => each.explanation['cluster.wait_ms'] ?? 0,
  );
  assert.ok(Math.max(...waitMs) >= SLOW_MS - 50, JSON.stringify(waits));
});
