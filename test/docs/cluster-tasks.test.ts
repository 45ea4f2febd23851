import assert from 'node:assert/strict';
import { existsSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { commitFiles, dial } from '#client/index';
import { gitOutput } from '#testkit/repositories/init-repository';
import { withoutPostgres as skip, startPostgres } from '#testkit/servers/start-postgres';
import { until } from '#testkit/until';
import { Page, Reader } from './reader.ts';

/** The directory in the page's commands and configurations. */
const PLACE = '/tmp/cluster';
const REPOSITORY = 'app.git';
const STORAGE = 'default';
const user = { glId: 'user-1', name: Buffer.from('Jane'), email: Buffer.from('jane@example.com') };
const page = new Page('docs/cluster.md');
const operation = new Page('docs/cluster-operation.md');

async function commit(address: string, storageName: string, text: string): Promise<string> {
  await using connection = await dial(address, { retry: false });
  const repository = { storageName, relativePath: REPOSITORY, glRepository: 'project-1' };
  const options = {
    repository,
    user,
    branchName: Buffer.from('main'),
    commitMessage: Buffer.from(text),
  };
  const update = await commitFiles(connection, options, [{ type: 'create', path: text, content: text }]);
  return update?.commitId ?? '';
}

test('the tasks of the pages about clusters work as they are written', { skip }, async () => {
  await using postgres = await startPostgres({ isMigrated: false });
  await using reader = new Reader((directory) => ({ [PLACE]: directory }));
  const { directory } = reader;
  const praefect = `unix:${directory}/praefect.socket`;
  const [node = '', cluster = ''] = page.blocks('Start one', 'toml');
  const [start = ''] = page.blocks('Start one', 'sh');
  const line = (words: string): string => `${start.split('\n').find((each) => each.includes(words))}\n`;
  const headOn = (name: string): string => {
    const path = join(directory, name, REPOSITORY);
    return existsSync(path) ? gitOutput(path, ['for-each-ref', '--format=%(objectname)']) : '';
  };
  /** Waits until nodes have a write. A node that was slow to respond gets a copy of it. */
  const allGet = async (id: string, ...names: string[]): Promise<void> => {
    const isOn = (name: string): boolean => headOn(name) === id;
    assert.ok(names.some(isOn), 'a node has the write when it is acknowledged');
    await until(
      () => names.every(isOn),
      () => `${id} is on all nodes: ${names.map(headOn)}`,
    );
  };
  /** Writes until it is not refused: a failover takes ten seconds. */
  const write = async (text: string): Promise<string> => {
    let id = '';
    let attempt = 0;
    await until(async () => {
      id = await commit(praefect, STORAGE, `${text}-${++attempt}`).catch(() => '');
      return id !== '';
    }, `the write ${text}`);
    return id;
  };
  const waitFor = (name: string): Promise<void> =>
    until(async () => {
      await using connection = await dial(`unix:${directory}/${name}.socket`, { retry: false });
      return await connection.health.check({}).then(
        () => true,
        () => false,
      );
    }, name);

  // From one node to a cluster.
  reader.write('gitaly-1.toml', node);
  reader.write('gitaly-2.toml', node.replaceAll('gitaly-1', 'gitaly-2'));
  const { dbname, host, user: role } = postgres.config;
  const configured = cluster
    .replace(/^host = .*$/m, `host = "${host}"`)
    .replace(/^user = .*$/m, `user = "${role}"`)
    .replace(/^dbname = .*$/m, `dbname = "${dbname}"`)
    // The test does not wait for five minutes.
    .concat('\n[reconciliation]\nscheduling_interval = "1s"\n');
  reader.write('praefect.toml', configured);
  await reader.type(line('mkdir') + line('gitaly-1.toml'));
  await waitFor('gitaly-1');
  const alone = await dial(`unix:${directory}/gitaly-1.socket`);
  await alone.repository.createRepository({
    repository: { storageName: 'gitaly-1', relativePath: REPOSITORY },
  });
  await alone.close();
  const first = await commit(`unix:${directory}/gitaly-1.socket`, 'gitaly-1', 'alone');
  await reader.type(start.replace(line('gitaly-1.toml'), ''));
  await waitFor('gitaly-2');
  await waitFor('praefect');
  for (const block of page.blocks('From one node to a cluster', 'sh')) await reader.type(block);
  await allGet(first, 'gitaly-1', 'gitaly-2');

  // Add a node.
  const [addStart = '', addWait = ''] = operation.blocks('Add a node', 'sh');
  await reader.type(addStart);
  await waitFor('gitaly-3');
  const [more = ''] = operation.blocks('Add a node', 'toml');
  reader.write('praefect.toml', configured.replace('\n[reconciliation]', `\n${more}\n[reconciliation]`));
  await reader.lose('praefect');
  await reader.type(line('praefect.toml &'));
  await waitFor('praefect');
  await reader.type(addWait);
  const second = await write('second');
  await allGet(second, 'gitaly-1', 'gitaly-2', 'gitaly-3');

  // A node is lost, and back.
  const [wait = '', losses = '', accept = ''] = operation.blocks('When a node is lost', 'sh');
  await reader.lose('gitaly-1');
  const third = await write('third');
  await allGet(third, 'gitaly-2', 'gitaly-3');
  assert.equal(headOn('gitaly-1'), second);

  // Now it has the only replica, which is outdated.
  await reader.lose('gitaly-2');
  await reader.lose('gitaly-3');
  await reader.type(line('gitaly-1.toml'));
  await waitFor('gitaly-1');
  await until(async () => (await reader.type(losses)).includes(`${REPOSITORY} (unavailable)`), 'dataloss');
  assert.match(await reader.type(losses), /gitaly-1 is behind by 1 change or less, assigned host/);
  await reader.type(accept);
  const other = await write('accepted');
  assert.equal(headOn('gitaly-1'), other);
  await reader.type('gitaly serve gitaly-2.toml &\ngitaly serve gitaly-3.toml &\n');
  await reader.type(wait);
  await allGet(other, 'gitaly-1', 'gitaly-2', 'gitaly-3');

  // Replace a node.
  await reader.lose('gitaly-2');
  rmSync(join(directory, 'gitaly-2'), { recursive: true });
  mkdirSync(join(directory, 'gitaly-2'));
  await reader.type('gitaly serve gitaly-2.toml &\n');
  await waitFor('gitaly-2');
  for (const block of operation.blocks('Replace a node', 'sh')) await reader.type(block);
  await until(() => headOn('gitaly-2') === other, 'a copy on the new node');
  await reader.type(wait);
});
