import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { praefectConsole } from '#cli/serve-praefect-console';
import { loggerFor } from '#platform/log/logger';
import { praefectConfigFrom } from '#praefect/config/load-praefect-config';
import { sql } from '#praefect/database/database';
import { freePort } from '#testkit/free-port';
import { programCommand } from '#testkit/program-command';
import { runPraefect } from '#testkit/run-praefect';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { startCluster, type TestCluster } from '#testkit/start-cluster';
import { withoutPostgres as skip, startPostgres } from '#testkit/start-postgres';
import { startServerProgram } from '#testkit/start-server-program';

const repository = { storageName: 'default', relativePath: 'team/a.git' };
const HOSTILE = '"><img src=x onerror=alert(1)>\u202E.git';

interface ClusterConsole extends AsyncDisposable {
  get(path: string, headers?: Record<string, string>): Promise<{ status: number; text: string }>;
  // biome-ignore lint/suspicious/noExplicitAny: the tests read fields of many pages
  json(path: string, headers?: Record<string, string>): Promise<any>;
}

/** Opens the console of a praefect as its configuration asks for it. */
async function openOn(
  { address, server }: Pick<TestCluster, 'address' | 'server'>,
  settings: Record<string, unknown> = {},
): Promise<ClusterConsole> {
  const { config } = praefectConfigFrom({
    socket_path: address,
    console: { listen_addr: '127.0.0.1:0', ...settings },
    virtual_storage: [{ name: 'default', node: [{ storage: 'gitaly-1', address: 'unix:/x' }] }],
  });
  let url = '';
  const note = (fields: object): void => {
    if ('address' in fields) url = String(fields.address);
  };
  const logger = loggerFor({ info: note, warn: note, error: note });
  const opened = await praefectConsole(config, { logger, hasPredecessor: false })?.(server);
  assert.ok(opened);
  const get: ClusterConsole['get'] = async (path, headers = {}) => {
    const response = await fetch(`${url}${path}`, { headers });
    return { status: response.status, text: await response.text() };
  };
  return {
    get,
    json: async (path, headers) =>
      JSON.parse((await get(path, { accept: 'application/json', ...headers })).text),
    [Symbol.asyncDispose]: () => opened[Symbol.asyncDispose](),
  };
}

test('the console of a praefect shows what its commands show', { skip }, async () => {
  await using postgres = await startPostgres();
  await using cluster = await startCluster({ database: postgres });
  await cluster.connection.repository.createRepository({ repository });
  await using console = await openOn(cluster);

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
  assert.doesNotMatch(page.text, /console\/(?:running|slow|webhooks)"/, 'praefect has no such pages');
  for (const path of [
    '/overview',
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
  await using console = await openOn(cluster);

  const { problems, virtual_storages } = await console.json('/cluster');
  assert.deepEqual(virtual_storages[0].unavailable_paths, [HOSTILE]);
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
  await using console = await openOn(cluster);

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
  const { dbname, host, user } = postgres.config;
  writeFileSync(
    path,
    `socket_path = "${join(cluster.directory, 'other.socket')}"
[console]
listen_addr = "127.0.0.1:${port}"
clone_url = "https://git.example.com"
[database]
host = "${host}"
user = "${user}"
dbname = "${dbname}"
[[virtual_storage]]
name = "default"
[[virtual_storage.node]]
storage = "gitaly-1"
address = "${cluster.nodes[0]?.address}"
`,
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
  await using console = await openOn(cluster);

  const { praefects, virtual_storages } = await console.json('/cluster');
  assert.deepEqual([praefects, virtual_storages[0].repositories], [null, null]);
  const { status, text } = await console.get('/cluster');
  assert.equal(status, 200);
  assert.match(text, /Virtual storage default/);
  assert.match(text, /<td>gitaly-2<\/td><td>healthy<\/td><td>not known<\/td>/);
  assert.match(text, /Replicas are known only with a database/);
});

test('only administrators see the cluster, and nobody without a name', async () => {
  const directory = makeScratchDirectory('cluster-console');
  try {
    const file = join(directory, 'users');
    const hashOf = (token: string): string => createHash('sha256').update(token).digest('hex');
    writeFileSync(file, `root admin sha256:${hashOf('r')}\nann read sha256:${hashOf('a')} team\n`);
    await using cluster = await startCluster();
    await cluster.connection.repository.createRepository({ repository });
    await using console = await openOn(cluster, { auth_file: file });
    const statusOf = async (token?: string): Promise<number> =>
      (await console.get('/cluster', token === undefined ? {} : { authorization: `Bearer ${token}` })).status;

    assert.deepEqual([await statusOf(), await statusOf('a'), await statusOf('r')], [401, 403, 200]);
  } finally {
    rmSync(directory, { recursive: true });
  }
});
