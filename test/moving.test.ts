import assert from 'node:assert/strict';
import {
  cpSync,
  globSync,
  mkdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { deflateSync, inflateSync } from 'node:zlib';
import { type Connection, collect, commitFiles, dial } from '#client/index';
import { configFrom, GitalyServer } from '#gitaly/index';
import { gitOutput } from '#testkit/repositories/init-repository';
import { makeScratchDirectory } from '#testkit/scratch-directory';

// A storage as Gitaly leaves it. The names and formats were noted from one that Gitaly 18.9 had
// written: after a commit, an eager repack, and a fork that is linked to a pool.

const PROJECT = '@hashed/aa/bb/one.git';
const FORK = '@hashed/cc/dd/fork.git';
const POOL = `@pools/ab/ab/${'ab'.repeat(32)}.git`;
/** Empty: the time of its last change counts. */
const LAST_REPACK = '.gitaly-full-repack-timestamp';
const METADATA = '{"gitaly_filesystem_id":"07cf960f-26d1-4fab-9536-1d9e7fca5136"}';
const GENERATION = '4b4bbd1a-6e0c-4a5e-9b5f-5b8a3b3a1f0e';
const CONFIG = '[core]\n\trepositoryformatversion = 0\n\tfilemode = true\n\tbare = true\n';
/** Older releases wrote the project's path, too; the maintenance of later ones removes it. */
const OLD_CONFIG = `${CONFIG}[gitlab]\n\tfullpath = group/project\n`;
const USER = { glId: 'user-1', glUsername: 'j', name: Buffer.from('J'), email: Buffer.from('j@example.com') };

const root = makeScratchDirectory('moving');
const storage = join(root, 'default');
after(() => rmSync(root, { recursive: true, force: true }));

function git(repository: string, ...args: string[]): string {
  return gitOutput(join(storage, repository), args);
}

before(() => {
  for (const path of [PROJECT, POOL]) {
    mkdirSync(join(storage, path), { recursive: true });
    git(path, 'init', '--quiet', '--bare', '--initial-branch=main', '--template=');
    writeFileSync(join(storage, path, 'config'), path === PROJECT ? OLD_CONFIG : CONFIG);
    writeFileSync(join(storage, path, LAST_REPACK), '');
    utimesSync(join(storage, path, LAST_REPACK), 0, 0);
  }
  const tree = git(PROJECT, 'mktree', '--missing');
  const who = ['-c', 'user.name=J', '-c', 'user.email=j@example.com'];
  const commit = git(PROJECT, ...who, 'commit-tree', '-m', 'first', tree);
  git(PROJECT, 'update-ref', 'refs/heads/main', commit);
  git(PROJECT, 'repack', '-Adq', '--write-midx', '--write-bitmap-index');
  git(PROJECT, 'commit-graph', 'write', '--reachable', '--split', '--changed-paths');
  git(POOL, 'fetch', '--quiet', join(storage, PROJECT), '+refs/*:refs/remotes/origin/*');
  cpSync(join(storage, PROJECT), join(storage, FORK), { recursive: true });
  mkdirSync(join(storage, FORK, 'objects/info'), { recursive: true });
  writeFileSync(join(storage, FORK, 'objects/info/alternates'), `../../../../../${POOL}/objects`);
  git(FORK, 'repack', '-adlq');
  git(FORK, 'pack-refs', '--all');

  const stats = {
    version: 'v3:gitaly',
    commit_id: commit,
    totals: { Go: 10 },
    by_file: { 'a.go': { Go: 10 } },
  };
  writeFileSync(join(storage, PROJECT, 'gitaly-language.stats'), deflateSync(JSON.stringify(stats)));
  mkdirSync(join(storage, PROJECT, 'custom_hooks'));
  writeFileSync(join(storage, PROJECT, 'custom_hooks/post-receive'), '#!/bin/sh\n', { mode: 0o755 });
  for (const path of [PROJECT, FORK, POOL]) {
    mkdirSync(join(storage, '+gitaly/state', path, 'pending'), { recursive: true });
    writeFileSync(join(storage, '+gitaly/state', path, 'latest'), GENERATION);
  }
  mkdirSync(join(storage, '+gitaly/tmp'));
  mkdirSync(join(storage, '+gitaly/cache/0a'), { recursive: true });
  writeFileSync(join(storage, '+gitaly/cache/0a', 'f'.repeat(62)), 'a response of Gitaly');
  writeFileSync(join(storage, '.gitaly-metadata'), METADATA);
});

/** Returns all files but objects: Gitaly and git know the names of those. */
function filesOf(): string[] {
  return globSync('**/{*,.*}', {
    cwd: storage,
    exclude: (name) => /^(?:[0-9a-f]{2}|pack|\.|\.\.)$/.test(name),
  })
    .filter((path) => !/\/objects\/(?:pack|[0-9a-f]{2})/.test(path))
    .toSorted();
}

async function serve(work: (connection: Connection) => Promise<void>): Promise<void> {
  const server = await GitalyServer.start({
    config: configFrom({
      socket_path: join(root, 'gitaly.socket'),
      runtime_dir: root,
      storage: [{ name: 'default', path: storage }],
      daily_maintenance: { disabled: true },
    }),
  });
  await using running = server;
  await using connection = await dial(running.addresses.unix ?? '');
  await work(connection);
}

test('a storage of Gitaly is served, and left as Gitaly can serve it', async () => {
  const earlier = filesOf();
  const startedMs = Math.floor(Date.now() / 1000) * 1000; // file systems may keep whole seconds
  const project = { storageName: 'default', relativePath: PROJECT, glRepository: 'project-1' };
  const fork = { ...project, relativePath: FORK };
  const pool = { repository: { ...project, relativePath: POOL } };

  await serve(async (connection) => {
    const { repository, objectPool } = connection;
    const info = await connection.server.serverInfo({});
    assert.equal(info.storageStatuses[0]?.filesystemId, JSON.parse(METADATA).gitaly_filesystem_id);
    for (const each of [project, fork])
      assert.equal(Buffer.from((await repository.fsck({ repository: each })).error).toString(), '');
    const linked = await objectPool.getObjectPool({ repository: fork });
    assert.equal(linked.objectPool?.repository?.relativePath, POOL);
    const names = await Array.fromAsync(
      collect.items(connection.ref.listRefs({ repository: fork, patterns: [Buffer.from('refs/')] }), (page) =>
        page.references.map(({ name }) => Buffer.from(name).toString()),
      ),
    );
    assert.deepEqual(names, ['refs/heads/main']);

    const header = { repository: project, user: USER, branchName: Buffer.from('main') };
    const actions = [{ type: 'create', path: 'a.rb', content: 'puts 1\n' }] as const;
    await commitFiles(connection, { ...header, commitMessage: Buffer.from('second') }, actions);
    const { languages } = await connection.commit.commitLanguages({ repository: project });
    assert.deepEqual(
      languages.map(({ name }) => name),
      ['Go', 'Ruby'], // Go is from Gitaly's file: only changed files are counted again
    );
    await objectPool.fetchIntoObjectPool({ objectPool: pool, origin: project });
    for (const each of [project, fork])
      await repository.optimizeRepository({ repository: each, strategy: 2 });
  });

  for (const path of [PROJECT, FORK, POOL]) {
    assert.equal(git(path, 'fsck', '--strict', '--no-dangling'), '');
    assert.equal(readFileSync(join(storage, path, 'config'), 'utf8'), CONFIG);
  }
  for (const path of [PROJECT, FORK])
    assert.ok(statSync(join(storage, path, LAST_REPACK)).mtimeMs >= startedMs, path);
  assert.equal(readFileSync(join(storage, '.gitaly-metadata'), 'utf8'), METADATA);
  assert.equal(git(POOL, 'rev-parse', 'refs/remotes/origin/heads/main'), git(PROJECT, 'rev-parse', 'main'));
  const stats = JSON.parse(
    inflateSync(readFileSync(join(storage, PROJECT, 'gitaly-language.stats'))).toString(),
  );
  assert.equal(stats.commit_id, git(PROJECT, 'rev-parse', 'main'));
  // Whatever is new is git's, or below +gitaly, which either server empties.
  const unknown = filesOf().filter((path) => !earlier.includes(path) && !KNOWN.test(path));
  assert.deepEqual(unknown, []);
});

/** Files of git and of Gitaly that were not there before. */
const KNOWN =
  /^\+gitaly\/|\/(?:packed-refs|refs\/.*|objects\/info\/.*|gitaly-language\.stats|\.gitaly-full-repack-timestamp|FETCH_HEAD)$|\/objects\/maintenance\.lock$/;
