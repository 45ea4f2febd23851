import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { runGit } from '#testkit/repositories/run-git';
import { OptimizeRepositoryRequest_Strategy as Strategy } from '#wire/gen/repository_pb';
import { type Case, options, suiteOf } from './case-suite.ts';
import type { Target } from './faulty-server.ts';

/** Returns a separate path for each target. */
function poolOf({ wire }: Target) {
  const hash = wire.relativePath.replace('.git', '').padStart(64, '0');
  const relativePath = `@pools/${hash.slice(0, 2)}/${hash.slice(2, 4)}/${hash}.git`;
  return { repository: { storageName: 'default', relativePath } };
}

const createPool: Case = {
  name: 'CreateObjectPool',
  run: ({ connection }, target) =>
    connection.objectPool.createObjectPool({ objectPool: poolOf(target), origin: target.wire }, options),
  async check(target, isDone, storage) {
    const path = join(storage, poolOf(target).repository.relativePath);
    if (isDone) assert.ok(existsSync(path), 'there is no pool');
    if (!existsSync(path)) return;
    assert.equal(await runGit(['-C', path, 'fsck', '--strict']), '');
    assert.equal(
      await runGit(['-C', path, 'rev-list', '--count', '--all']),
      await runGit(['-C', target.directory, 'rev-list', '--count', '--all']),
    );
  },
};

const link: Case = {
  name: 'LinkRepositoryToObjectPool',
  prepare: async (server, target) => {
    await createPool.run(server, target);
  },
  run: ({ connection }, target) =>
    connection.objectPool.linkRepositoryToObjectPool(
      { objectPool: poolOf(target), repository: target.wire },
      options,
    ),
  async check(target, isDone) {
    const file = join(target.directory, 'objects/info/alternates');
    if (isDone || existsSync(file))
      assert.equal(readFileSync(file, 'utf8'), `../../${poolOf(target).repository.relativePath}/objects`);
  },
};

const disconnect: Case = {
  name: 'DisconnectGitAlternates',
  prepare: async (server, target) => {
    await createPool.run(server, target);
    await link.run(server, target);
    // The member depends on the pool now.
    await optimize.run(server, target);
  },
  run: ({ connection }, { wire }) =>
    connection.objectPool.disconnectGitAlternates({ repository: wire }, options),
  async check({ directory }, isDone) {
    if (isDone) assert.equal(existsSync(join(directory, 'objects/info/alternates')), false);
  },
};

const optimize: Case = {
  name: 'OptimizeRepository',
  run: ({ connection }, { wire }) =>
    connection.repository.optimizeRepository({ repository: wire, strategy: Strategy.EAGER }, options),
  async check({ directory }, isDone) {
    if (!isDone) return;
    await runGit(['-C', directory, 'multi-pack-index', 'verify']);
    await runGit(['-C', directory, 'commit-graph', 'verify']);
  },
};

suiteOf('maintenance and pools, whatever fails', [createPool, link, disconnect, optimize]);
