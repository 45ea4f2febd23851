import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { create, toBinary } from '@bufbuild/protobuf';
import { programCommand } from '#testkit/programs/program-command';
import { gitOutput, initServed } from '#testkit/repositories/init-repository';
import { type RunResult, run } from '#testkit/run-program';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { startForeignServer } from '#testkit/servers/foreign-server';
import { startGitaly, type TestGitaly } from '#testkit/start-gitaly';
import { GetPartitionsResponseSchema, RaftClusterInfoResponseSchema } from '#wire/gen/cluster_pb';

const PROGRAM = programCommand('gitaly');
/** Time at the head of a line of Go's log package. */
const TIME = /^\d{4}\/\d\d\/\d\d \d\d:\d\d:\d\d /;

function gitaly(args: readonly string[], options: Parameters<typeof run>[2] = {}): Promise<RunResult> {
  return run(process.execPath, [...PROGRAM, ...args], options);
}

/** A scratch directory that is removed at the end of the test. */
function scratchDirectory(what: string): { readonly path: string } & Disposable {
  const path = makeScratchDirectory(what);
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true }) };
}

/** Writes a configuration with which commands find the server. */
function configOf(server: TestGitaly, lines = ''): string {
  const path = join(server.directory, 'commands.toml');
  const storages = readdirSync(server.directory)
    .filter((name) => name === 'default' || name === 'second')
    .map((name) => `[[storage]]\nname = "${name}"\npath = "${join(server.directory, name)}"\n`);
  const socket = server.address.slice('unix:'.length);
  writeFileSync(path, `socket_path = "${socket}"\n${lines}\n${storages.join('')}`);
  return path;
}

/** Returns the one line that a failed command prints, without the time. */
function failureOf({ code, stdout, stderr }: RunResult): string {
  assert.deepEqual([code, stdout], [1, '']);
  assert.match(stderr, TIME);
  return stderr.replace(TIME, '').trimEnd();
}

test('hooks set replaces and removes the custom hooks of a repository', async () => {
  await using server = await startGitaly({ token: 'secret' });
  const repository = initServed(server, 'a.git');
  const config = configOf(server, '[auth]\ntoken = "secret"');
  const work = join(server.directory, 'work');
  mkdirSync(join(work, 'custom_hooks'), { recursive: true });
  writeFileSync(join(work, 'custom_hooks/update'), '#!/bin/sh\n', { mode: 0o755 });
  const tar = execFileSync('tar', ['-c', '-C', work, 'custom_hooks']);
  const set = (input: Uint8Array, name = 'a.git') =>
    gitaly(['hooks', 'set', '--storage', 'default', '--repository', name, '--config', config], { input });

  assert.deepEqual(await set(tar), { code: 0, stdout: '', stderr: '' });
  assert.equal(readFileSync(join(repository, 'custom_hooks/update'), 'utf8'), '#!/bin/sh\n');
  assert.deepEqual(await set(new Uint8Array()), { code: 0, stdout: '', stderr: '' });
  assert.equal(existsSync(join(repository, 'custom_hooks/update')), false);
  assert.equal(
    failureOf(await set(tar, 'none.git')),
    'closing hooks archive stream: rpc error: code = NotFound desc = repository not found',
  );
});

test('commands on a repository need the name of its storage if there are several', async () => {
  await using server = await startGitaly({ storages: ['default', 'second'] });
  const config = configOf(server);

  for (const command of [['hooks', 'set'], ['bundle-uri']]) {
    const result = await gitaly([...command, '--repository', 'a.git', '-c', config]);

    assert.equal(
      failureOf(result),
      'multiple storages configured: use --storage to target storage explicitly',
    );
  }
});

test('options may have one dash, and arguments too many do no harm, as in Gitaly', async () => {
  const missing = join(import.meta.dirname, 'no-such-file');
  const args = ['-config', missing, '-repository', 'a.git', 'more'];

  assert.equal(
    failureOf(await gitaly(['hooks', 'set', ...args])),
    `load config: open ${missing}: no such file or directory`,
  );
});

test('a server that does not run is an error', async () => {
  using scratch = scratchDirectory('no-server');
  const directory = scratch.path;
  mkdirSync(join(directory, 'storage'));
  const config = join(directory, 'c.toml');
  writeFileSync(
    config,
    `socket_path = "${directory}/s"\n[[storage]]\nname = "default"\npath = "${directory}/storage"\n`,
  );

  const result = await gitaly(['hooks', 'set', '--repository', 'a.git', '-c', config]);

  assert.match(failureOf(result), /^create connection: .*no such file or directory/);
});

test('bundle-uri lets the server make the bundle of a repository', async () => {
  await using server = await startGitaly({
    config: (directory) => ({ bundle_uri: { go_cloud_url: join(directory, 'bundles') } }),
  });
  initServed(server, 'a.git', { commits: 1 });
  const config = configOf(server);

  const result = await gitaly(['bundle-uri', '--repository', 'a.git', '-c', config]);

  assert.deepEqual(result, { code: 0, stdout: '', stderr: '' });
  const files = readdirSync(join(server.directory, 'bundles'), { recursive: true });
  assert.ok(
    files.some((name) => String(name).endsWith('.bundle')),
    String(files),
  );
});

test('git runs in the current directory, with its input, output and exit code', async () => {
  await using server = await startGitaly();
  const cwd = initServed(server, 'a.git', { commits: 1 });
  const config = configOf(server);
  const git = (args: readonly string[], input = '') =>
    gitaly(['git', '--config', config, ...args], { cwd, input });
  const head = gitOutput(cwd, ['rev-parse', 'HEAD']);

  assert.deepEqual(await git(['--', 'rev-list', '--stdin'], 'HEAD'), {
    code: 0,
    stdout: `${head}\n`,
    stderr: '',
  });
  assert.equal((await git(['log', '-1', '--pretty=format:%H'])).stdout, head);
  assert.equal((await git(['--', 'config', 'gc.auto'])).stdout, '0\n');
  assert.equal((await git(['--', 'config', 'maintenance.auto'])).stdout, '0\n');
  assert.equal((await git(['--', 'cat-file', '-e', '0'.repeat(40)])).code, 1);
  const unknown = await git(['invalid-command']);
  assert.deepEqual(
    [unknown.code, unknown.stderr],
    [1, "git: 'invalid-command' is not a git command. See 'git --help'.\n"],
  );
});

test('git keeps the settings that the caller has in the environment', async () => {
  await using server = await startGitaly();
  const config = configOf(server);
  const env = { GIT_CONFIG_COUNT: '1', GIT_CONFIG_KEY_0: 'user.name', GIT_CONFIG_VALUE_0: 'Ann' };

  const result = await gitaly(['git', '-c', config, '--', 'config', 'user.name'], { env });

  assert.equal(result.stdout, 'Ann\n');
});

test('pool records the members of object pools', async () => {
  using scratch = scratchDirectory('pools');
  const file = join(scratch.path, 'pools.db');
  await using server = await startGitaly({ config: { pool_metadata: { database_path: file } } });
  initServed(server, 'pool.git');
  initServed(server, 'member.git');
  writeFileSync(join(server.storagePath(), 'member.git/objects/info/alternates'), '../../pool.git/objects\n');
  const config = configOf(server);

  const { code, stdout } = await gitaly(['pool', '-c', config]);

  assert.equal(code, 0);
  assert.match(stdout, /^\n=== Scanning storage: default \(.*\) ===\nfound 1 pool members\n/);
  assert.match(stdout, /\npool member: member\.git -> pool\.git \[isUpstream: false\]\n$/);
  using database = new DatabaseSync(file, { readOnly: true });
  const tables = database.prepare("SELECT name FROM sqlite_master WHERE type = 'table'").all();
  const rows = tables.flatMap(({ name }) => database.prepare(`SELECT * FROM "${name}"`).all());
  assert.ok(
    rows.some((row) => Object.values(row).includes('member.git')),
    JSON.stringify(rows),
  );
});

const info = create(RaftClusterInfoResponseSchema, {
  clusterId: 'c',
  statistics: {
    totalPartitions: 2,
    healthyPartitions: 1,
    totalReplicas: 3,
    healthyReplicas: 3,
    storageStats: { two: { leaderCount: 0, replicaCount: 1 }, one: { leaderCount: 2, replicaCount: 2 } },
  },
});
const partition = create(GetPartitionsResponseSchema, {
  partitionKey: { value: 'ab'.repeat(32) },
  replicas: [
    { replicaId: { storageName: 'one' }, isLeader: true, isHealthy: true, lastIndex: 7n, matchIndex: 6n },
    { replicaId: { storageName: 'two' }, lastIndex: 5n, matchIndex: 5n },
  ],
  relativePaths: ['a.git', 'b.git'],
});

/** Starts a server of a Raft cluster, and writes a configuration for it. */
async function startCluster() {
  const server = await startForeignServer({
    getClusterInfo: (_call: unknown, callback: (error: null, bytes: Buffer) => void) =>
      callback(null, Buffer.from(toBinary(RaftClusterInfoResponseSchema, info))),
    getPartitions: (call: { write(bytes: Buffer): void; end(): void }) => {
      call.write(Buffer.from(toBinary(GetPartitionsResponseSchema, partition)));
      call.end();
    },
  });
  const socket = server.address.slice('unix:'.length);
  const directory = dirname(socket);
  const config = join(directory, 'c.toml');
  writeFileSync(config, `socket_path = "${socket}"\n[[storage]]\nname = "one"\npath = "${directory}"\n`);
  return Object.assign(server, { config });
}

test('cluster info prints the statistics and the partitions of a cluster', async () => {
  await using server = await startCluster();

  const { code, stdout } = await gitaly(['cluster', 'info', '--config', server.config, '--list-partitions']);

  assert.equal(code, 0);
  const key = 'ab'.repeat(32);
  assert.equal(
    stdout,
    `=== Gitaly Cluster Information ===

=== Cluster Health Summary ===

  Partitions: ⚠ Degraded (1/2)
  Replicas: ✓ Healthy (3/3)

=== Cluster Statistics ===
  Total Partitions: 2
  Total Replicas: 3
  Healthy Partitions: 1
  Healthy Replicas: 3

=== Per-Storage Statistics ===

STORAGE  LEADER COUNT  REPLICA COUNT
-------  ------------  -------------
one      2             2
two      0             1

=== Partition Overview ===

PARTITION KEY${' '.repeat(53)}LEADER  REPLICAS  HEALTH  LAST INDEX  MATCH INDEX  REPOSITORIES
-------------${' '.repeat(53)}------  --------  ------  ----------  -----------  ------------
${key}  one     one, two  1/2     7           6            2 repos
`,
  );
});

test('cluster info prints JSON with sorted keys', async () => {
  await using server = await startCluster();

  const { stdout } = await gitaly(['cluster', 'info', '-c', server.config, '--format', 'json']);

  assert.deepEqual(Object.keys(JSON.parse(stdout)), ['clusterInfo']);
  assert.match(stdout, /^\{\n {2}"clusterInfo": \{\n {4}"clusterId": "c",\n {4}"statistics": \{\n/);
});

test('cluster get-partition prints the replicas and repositories', async () => {
  await using server = await startCluster();
  const get = (...args: string[]) => gitaly(['cluster', 'get-partition', '-c', server.config, ...args]);

  const { stdout } = await get('--relative-path', 'a.git');

  assert.equal(
    stdout,
    `=== Partition Details for Repository: a.git ===

Partition: ${'ab'.repeat(32)}

STORAGE  ROLE      HEALTH     LAST INDEX  MATCH INDEX
-------  ----      ------     ----------  -----------
one      Leader    Healthy    7           6
two      Follower  Unhealthy  5           5

Repositories:

REPOSITORY PATH
---------------
a.git
b.git
`,
  );
  assert.equal(failureOf(await get()), 'either --partition-key or --relative-path must be provided');
  assert.match(failureOf(await get('--partition-key', 'x')), /^invalid partition key format: expected 64-/);
  assert.equal(failureOf(await get('--format', 'xml')), `invalid format "xml": must be 'text' or 'json'`);
});

test('cluster info of a server without Raft is an error', async () => {
  await using server = await startGitaly();

  const result = await gitaly(['cluster', 'info', '-c', configOf(server)]);

  assert.match(
    failureOf(result),
    /^failed to retrieve cluster information - verify server is running and Raft is enabled: rpc error: code = /,
  );
});

test('commands about transactions say that this server has none', async () => {
  using scratch = scratchDirectory('recovery');
  const directory = scratch.path;
  const config = join(directory, 'c.toml');
  const base = `socket_path = "${directory}/s"\n[[storage]]\nname = "one"\npath = "${directory}"\n`;
  const recover = async (backup: string) => {
    writeFileSync(config, `${base}[backup]\n${backup}\n`);
    return failureOf(await gitaly(['recovery', '--config', config, 'status', '--all']));
  };

  assert.match(failureOf(await gitaly(['db', 'list', '--db-path', 'x'])), /^open database: x: .*no transact/);
  assert.equal(await recover(''), 'setup recovery context: write-ahead log backup is not configured');
  assert.equal(
    await recover(`wal_backup_go_cloud_url = "file://${directory}"`),
    'setup recovery context: backup sink is not configured',
  );
});

for (const { args, text } of [
  { args: ['hooks', 'set'], text: 'Required flags "repository, config" not set\n' },
  { args: ['hooks', 'set', '--repository', 'a.git'], text: 'Required flag "config" not set\n' },
  { args: ['git', 'status'], text: 'Required flag "config" not set\n' },
  { args: ['db', 'list'], text: 'Required flag "db-path" not set\n' },
]) {
  test(`a missing flag ends with Gitaly's text and exit code: ${args.join(' ')}`, async () => {
    const { code, stdout, stderr } = await gitaly(args);

    assert.equal(code, 1);
    assert.match(stdout, /^Usage: gitaly /);
    assert.match(stderr, TIME);
    assert.equal(stderr.replace(TIME, ''), text);
  });
}
