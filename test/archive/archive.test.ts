import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { commitFiles } from '#client/index';
import { gitOutput } from '#testkit/repositories/init-repository';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { USER } from '#testkit/user';
import { ALERTS, missingOf } from '../observability/shipped-queries.ts';
import { startArchived } from './archived-server.ts';
import { stateOf } from './repository-state.ts';

const directory = makeScratchDirectory('archive');
after(() => rmSync(directory, { recursive: true, force: true }));
const { signal } = new AbortController();

test('a repository is restored to each of its generations, at its path and at another one', async () => {
  const place = join(directory, 'generations');
  mkdirSync(place);
  await using archived = await startArchived({ directory: place });
  const { archive, connection, storage } = archived;
  const repository = { storageName: 'default', relativePath: 'a/b.git', glRepository: 'p' };
  const target = { storage: 'default', path: 'a/b.git' };
  await connection.repository.createRepository({ repository });
  await archive.settle('default');
  const states: [number, object][] = [];
  for (const path of ['one', 'two', 'three']) {
    const fields = {
      repository,
      user: USER,
      branchName: Buffer.from('main'),
      commitMessage: Buffer.from(path),
    };
    await commitFiles(connection, fields, [{ type: 'create', path, content: `${path}\n`.repeat(100) }]);
    await archive.settle('default');
    const status = await archive.repositoryStatus(target);
    states.push([status?.generation ?? 0, stateOf(join(storage, 'a/b.git'))]);
  }

  for (const [generation, expected] of states) {
    await archive.restore(target, { at: { generation }, to: `at-${generation}.git`, signal });
    assert.deepEqual(stateOf(join(storage, `at-${generation}.git`)), expected);
  }

  await archive.settle('default');
  const [status] = archive.status('default');
  assert.equal(status?.archivedEvent, status?.lastEvent);
  assert.equal(status?.problem, '');
});

test('a repository that cannot be archived is named until it has changed after its repair', async () => {
  const place = join(directory, 'failed');
  mkdirSync(place);
  await using archived = await startArchived({ directory: place });
  const { archive, connection, storage } = archived;
  const repository = { storageName: 'default', relativePath: 'a.git' };
  await connection.repository.createRepository({ repository });
  await archive.settle('default');
  const config = join(storage, 'a.git/config');
  const sound = readFileSync(config, 'utf8');
  const git = (...args: string[]): string => gitOutput(join(storage, 'a.git'), args);
  const [tree, message] = [git('mktree'), 'a commit'];
  const write = async (name: string): Promise<void> => {
    const revision = Buffer.from(git('commit-tree', '-m', message, tree));
    await connection.repository.writeRef({ repository, ref: Buffer.from(`refs/heads/${name}`), revision });
  };
  writeFileSync(config, `${sound}# ${'x'.repeat(130 * 1024)}\n`);
  await connection.repository.setFullPath({ repository, path: 'group/project' });
  await archive.settle('default');

  assert.deepEqual(archive.status('default')[0]?.failed, ['a.git']);
  assert.match(archive.status('default')[0]?.problem ?? '', /the file config has more than 131072 bytes/);

  writeFileSync(config, sound);
  await write('main');
  await archive.settle('default');
  const [status] = archive.status('default');
  assert.deepEqual([status?.failed, status?.problem], [[], '']);
  await archive.restore({ storage: 'default', path: 'a.git' }, { to: 'b.git', signal });
  assert.deepEqual(stateOf(join(storage, 'b.git')), stateOf(join(storage, 'a.git')));
});

test('the shipped alert reads a metric that the server has', async () => {
  const place = join(directory, 'alert');
  mkdirSync(place);
  await using archived = await startArchived({
    directory: place,
    config: { prometheus_listen_addr: '127.0.0.1:0' },
  });
  const response = await fetch(`${archived.server.monitoringAddress}/metrics`);
  const exposition = await response.text();
  const rules = ALERTS.get('archive') ?? [];

  assert.deepEqual(
    rules.map(({ alert, expr }) => [alert, missingOf(expr, exposition)]),
    [['GitalyArchiveBehind', []]],
  );
  assert.match(exposition, /^gitaly_ts_archive_behind_seconds\{storage="default"\} 0$/m);
});
