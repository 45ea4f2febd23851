/** The archive by its calls and commands, in this process and through a worker. */
import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { text } from 'node:stream/consumers';
import { after, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { create } from '@bufbuild/protobuf';
import { Command } from 'commander';
import { openReadOnlyArchive } from '#archive/bucket/archive-bucket';
import { addArchiveCommands } from '#cli/commands/archive-commands';
import { addRepoCommands, type RepoProcess } from '#cli/commands/repo-commands';
import { commitFiles } from '#client/index';
import { answerForArchives, remoteArchives } from '#gitaly/family/remote-archives';
import { archiveCalls } from '#services/archives/index';
import { gitOutput } from '#testkit/repositories/init-repository';
import { StorageFixture } from '#testkit/repositories/storage-fixture';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { LinkedFamily } from '#testkit/servers/linked-family';
import { startGitaly } from '#testkit/start-gitaly';
import { USER } from '#testkit/user';
import {
  GetStatusRequestSchema,
  ListGenerationsRequestSchema,
  RestoreRequestSchema,
} from '#wire/gen/gitalyts/archives/v1/archives_pb';
import { type ArchivedServer, startArchived } from './archived-server.ts';

const directory = makeScratchDirectory('archive-commands');
after(() => rmSync(directory, { recursive: true, force: true }));

/** Runs a command in this process. */
async function run(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const [stdin, stdout, stderr] = [new PassThrough(), new PassThrough(), new PassThrough()];
  const process: RepoProcess = { stdin, stdout, stderr };
  const program = new Command('gitaly-ts').exitOverride();
  addArchiveCommands(program, process);
  addRepoCommands(program, process);
  await program.parseAsync(args, { from: 'user' });
  const [out = '', err = ''] = await Promise.all([stdout, stderr].map((stream) => text(stream.end())));
  return { code: Number(process.exitCode), stdout: out, stderr: err };
}

async function ok(...args: string[]): Promise<string> {
  const { code, stderr, stdout } = await run(...args);
  assert.equal(code, 0, stderr);
  return stdout;
}

async function failing(code: number, ...args: string[]): Promise<string> {
  const result = await run(...args);
  assert.equal(result.code, code, result.stdout);
  return result.stderr;
}

function place(name: string): string {
  const path = join(directory, name);
  mkdirSync(path);
  return path;
}

/** Commits files to `main` of a repository, one commit for each. @returns the ids. */
async function commitEach(
  { archive, connection, storage }: ArchivedServer,
  relativePath: string,
  names: readonly string[],
): Promise<string[]> {
  const repository = { storageName: 'default', relativePath, glRepository: 'p' };
  const commits: string[] = [];
  for (const path of names) {
    const fields = {
      ...{ repository, user: USER, branchName: Buffer.from('main') },
      commitMessage: Buffer.from(path),
    };
    await commitFiles(connection, fields, [{ type: 'create', path, content: path }]);
    await archive.settle('default');
    commits.push(gitOutput(join(storage, relativePath), ['rev-parse', 'main']));
  }
  return commits;
}

test('archives are shown, and repositories restored to a generation or a time', async () => {
  await using archived = await startArchived({ directory: place('one') });
  const { connection, server, storage } = archived;
  const to = ['--to', server.addresses.unix ?? ''];
  const inside = ['--in', server.addresses.unix ?? ''];
  await connection.repository.createRepository({
    repository: { storageName: 'default', relativePath: 'team/a.git', glRepository: 'p' },
  });
  const [first = '', second = ''] = await commitEach(archived, 'team/a.git', ['one', 'two']);

  const status = JSON.parse(await ok('archive', 'status', ...to, '--json'));
  assert.deepEqual(
    [status[0].state, status[0].archivedEvent, status[0].behindSeconds, status[0].isComplete],
    ['live', status[0].lastEvent, 0, true],
  );
  assert.match(
    await ok('archive', 'status', ...to),
    /^live file:.*bucket: all changes are archived \(event \d+\)\n$/,
  );
  assert.match(await ok('archive', 'log', ...to), /^2\d{3}-\S+Z \d+ team\/a\.git\n$/);
  const states = JSON.parse(await ok('repo', 'log', 'team/a', ...to, '--json'));
  assert.deepEqual([states[0].kind, states[0].changedReferences], ['write', 1]);
  assert.equal(states.at(-1).kind, 'create');
  assert.equal((await ok('repo', 'log', 'team/a', '--limit', '2', ...to)).split('\n').length, 3);

  const at = String(states[1].generation);
  assert.equal(
    await ok('repo', 'restore', 'team/a', '--at', at, '--to', 'old', ...inside),
    'restored old.git\n',
  );
  assert.equal(gitOutput(join(storage, 'old.git'), ['rev-parse', 'main']), first);
  await ok('repo', 'restore', 'team/a', '--at', states[1].time, '--to', 'time', ...inside);
  assert.equal(gitOutput(join(storage, 'time.git'), ['rev-parse', 'main']), first);
  assert.match(
    await failing(1, 'repo', 'restore', 'team/a', '--at', at, ...inside),
    /team\/a\.git exists: --replace replaces it, --to NAME restores it beside/,
  );
  await ok('repo', 'restore', 'team/a', '--at', at, '--replace', ...inside);
  assert.equal(gitOutput(join(storage, 'team/a.git'), ['rev-parse', 'main']), first);
  assert.match(
    await failing(1, 'repo', 'restore', 'team/a', '--at', '99', '--to', 'x', ...inside),
    /is not kept/,
  );
  assert.match(await failing(1, 'repo', 'restore', 'nobody', ...inside), /no such repository/);

  assert.match(await ok('archive', 'verify', '--full', ...to), /^verified \d+ repositories, /);
  assert.equal(await ok('archive', 'prune', ...to), 'pruned the archives of default\n');
  await ok('repo', 'remove', 'team/a', '--yes', ...to);
  await archived.archive.settle('default');
  const before = `${states[0].generation}@${states[0].repositoryId.slice(0, 8)}`;
  assert.match(await ok('repo', 'log', 'team/a', '--limit', '0', ...to), new RegExp(`^${before} `, 'm'));
  await ok('repo', 'restore', 'team/a', '--at', before, ...inside);
  assert.equal(gitOutput(join(storage, 'team/a.git'), ['rev-parse', 'main']), second);
  await ok('repo', 'restore', 'team/a', '--at', at, '--to', 'first', ...inside);
  assert.equal(gitOutput(join(storage, 'first.git'), ['rev-parse', 'main']), first);
});

test('a storage is restored from its archive alone; without one there is an error', async () => {
  const at = place('storage');
  const commits: string[][] = [];
  {
    await using archived = await startArchived({ directory: at });
    for (const name of ['a.git', 'b/c.git']) {
      const repository = { storageName: 'default', relativePath: name, glRepository: 'p' };
      await archived.connection.repository.createRepository({ repository });
      commits.push(await commitEach(archived, name, ['file']));
    }
  }
  renameSync(join(at, 'default'), join(at, 'lost'));
  await using archived = await startArchived({ directory: at });
  await archived.archive.settle('default');
  const to = ['--to', archived.server.addresses.unix ?? ''];

  assert.match(await failing(2, 'archive', 'restore', '--at', '3', ...to), /--at is a time here/);
  assert.equal(await ok('archive', 'restore', ...to), 'restored 2 repositories, 0 existed\n');
  assert.equal(await ok('archive', 'restore', ...to), 'restored 0 repositories, 2 existed\n');

  const restored = ['a.git', 'b/c.git'].map((name) => [
    gitOutput(join(archived.storage, name), ['rev-parse', 'main']),
  ]);
  assert.deepEqual(restored, commits);

  await using plain = await startGitaly();
  const none = ['--to', plain.address];
  assert.match(await failing(1, 'archive', 'status', ...none), /the storage default has no archive/);
  assert.match(await failing(1, 'archive', 'log', ...none), /no archive/);
});

/** Changes a byte of the last generation of a repository in an archive. */
async function damageChain(url: string, path: string): Promise<void> {
  const id = (await (await openReadOnlyArchive(url, new AbortController().signal)).paths.resolve(path)) ?? '';
  const folder = join(new URL(url).pathname, 'r', id, 'g');
  const file = join(folder, readdirSync(folder).sort().at(-1) ?? '');
  const bytes = readFileSync(file);
  bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 0xff;
  writeFileSync(file, bytes);
}

test('a storage is restored without a repository whose chain is damaged, which is named', async () => {
  const at = place('damaged');
  const url = pathToFileURL(join(at, 'bucket')).href;
  const names = ['a.git', 'b.git', 'c.git'];
  let timeMs = 0;
  {
    await using archived = await startArchived({ directory: at });
    for (const name of names) {
      const repository = { storageName: 'default', relativePath: name, glRepository: 'p' };
      await archived.connection.repository.createRepository({ repository });
      await commitEach(archived, name, ['file']);
    }
    timeMs = Date.now();
  }
  renameSync(join(at, 'default'), join(at, 'lost'));
  await damageChain(url, 'a.git');
  const failed = / {2}a\.git: .*damaged/;

  const copied = await failing(1, 'archive', 'restore', url, '--to', join(at, 'copy'));
  assert.match(copied, /restored 2 repositories, 0 existed, 1 failed$/m);
  assert.match(copied, failed);
  const time = ['--at', new Date(timeMs).toISOString()];
  const earlier = await failing(1, 'archive', 'restore', url, ...time, '--to', join(at, 'earlier'));
  assert.match(earlier, /restored 2 repositories, 0 existed, 1 failed$/m);
  await using archived = await startArchived({ directory: at });
  await archived.archive.settle('default');
  const to = ['--to', archived.server.addresses.unix ?? ''];
  assert.match(await failing(1, 'archive', 'restore', ...to), failed);
  assert.match(
    await failing(1, 'archive', 'restore', ...to),
    /restored 0 repositories, 2 existed, 1 failed$/m,
  );

  const listed = JSON.parse(await ok('archive', 'log', ...to, '--json'));
  assert.deepEqual(
    listed.map(({ generation, name, problem }: Record<string, unknown>) => [
      name,
      generation === 0,
      problem === undefined,
    ]),
    names.map((name) => [name, name === 'a.git', name !== 'a.git']),
  );
  const lines = (await ok('archive', 'log', ...to)).split('\n');
  assert.match(lines[0] ?? '', /^a\.git cannot be read: .*damaged/);
  assert.match(lines[1] ?? '', /^2\d{3}-\S+Z \d+ b\.git$/);
});

test('a worker gets the answers of the process that archives', async () => {
  await using archived = await startArchived({ directory: place('worker') });
  const { archive, connection } = archived;
  await using fixture = await StorageFixture.create(); // its storage has the same name
  const repository = { storageName: 'default', relativePath: 'a.git', glRepository: 'p' };
  await connection.repository.createRepository({ repository });
  const [commit = ''] = await commitEach(archived, 'a.git', ['file']);
  const family = new LinkedFamily();
  answerForArchives(family.supervisor.desk, archiveCalls({ archive, storages: fixture.storages }));
  const calls = remoteArchives(family.start().link);
  const { signal } = new AbortController();
  const target = { storageName: 'default', relativePath: 'a.git' };

  const { archives = [] } = await calls.getStatus(create(GetStatusRequestSchema, target));
  assert.equal(archives[0]?.problem, '');
  const pages = await Array.fromAsync(
    calls.listGenerations(create(ListGenerationsRequestSchema, target), signal),
  );
  assert.ok((pages[0]?.generations?.length ?? 0) >= 2);
  const restore = create(RestoreRequestSchema, { ...target, toRelativePath: 'b.git' });
  const [restored] = await Array.fromAsync(calls.restore(restore, signal));
  assert.equal(restored?.relativePath, 'b.git');
  assert.equal(gitOutput(join(archived.storage, 'b.git'), ['rev-parse', 'main']), commit);
  await assert.rejects(Array.fromAsync(calls.restore(restore, signal)), { code: 'ALREADY_EXISTS' });
  await assert.rejects(calls.getStatus(create(GetStatusRequestSchema, { storageName: 'x' })), {
    code: 'INVALID_ARGUMENT',
  });
});
