import assert from 'node:assert/strict';
import { hostname } from 'node:os';
import { test } from 'node:test';
import { withoutPostgres as skip, startPostgres } from '#testkit/servers/start-postgres';
import { startCluster, type TestCluster } from '#testkit/start-cluster';
import { until } from '#testkit/until';
import { praefectConfigFrom } from '../config/load-praefect-config.ts';
import { sql } from '../database/database.ts';
import type { GitalyNode } from '../nodes/gitaly-node.ts';
import { anyReader } from '../routing/choose-reader.ts';
import { praefectName } from './primaries.ts';
import { readerChoice } from './reader-choice.ts';

const VIRTUAL_STORAGE = { name: 'default', node: [{ storage: 'a', address: 'unix:/a' }] };
const configWith = (keys: object) =>
  praefectConfigFrom({ virtual_storage: [VIRTUAL_STORAGE], ...keys } as never).config;

test('a Praefect is named by its host and its address, which survive restarts', () => {
  assert.equal(praefectName(configWith({ listen_addr: 'localhost:1' })), `${hostname()}:localhost:1`);
  assert.equal(praefectName(configWith({ socket_path: '/s' })), `${hostname()}:/s`);
  assert.equal(
    praefectName(configWith({ listen_addr: 'localhost:1', socket_path: '/s' })),
    `${hostname()}:localhost:1`,
  );
});

test('replicas on this machine are preferred only if that is configured', () => {
  const [near, far] = ['unix:/a', 'tcp://192.0.2.1:1'].map((address) => ({ config: { address } }));
  // A choice reads the addresses of nodes.
  const nodes = new Map([['default', [far, near] as unknown as GitalyNode[]]]);
  const choose = (prefer_local_replicas: boolean) =>
    readerChoice({ config: configWith({ socket_path: '/s', routing: { prefer_local_replicas } }), nodes });

  assert.equal(choose(false), anyReader);
  const preferring = choose(true);
  for (let read = 0; read < 20; read++) assert.equal(preferring(nodes.get('default') ?? []), near);
});

async function failedChecks({ connection }: TestCluster): Promise<string[]> {
  const { Result: result } = await connection.server.readinessCheck({});
  return result.case === 'failureResponse'
    ? result.value.failedChecks.map(({ errorMessage, name }) => `${name}: ${errorMessage}`)
    : [];
}

test('a cluster without a database is ready when its nodes are', async () => {
  await using cluster = await startCluster({ nodes: 2 });
  assert.deepEqual(await failedChecks(cluster), []);

  await cluster.stopNode(2);

  const reason = `the following nodes are not healthy: ${cluster.nodes[1]?.address}`;
  assert.deepEqual(await failedChecks(cluster), [`gitaly node connectivity & disk access: ${reason}`]);
  const healthy = async (): Promise<readonly (readonly [string, boolean])[]> => {
    const [{ storages = [] } = {}] = (await cluster.server.status()).virtualStorages;
    return storages.map(({ isHealthy, storage }) => [storage, isHealthy]);
  };
  await until(async () => (await healthy())[1]?.[1] === false);
  assert.deepEqual(await healthy(), [
    ['gitaly-1', true],
    ['gitaly-2', false],
  ]);
});

test('a cluster with a database is ready when its nodes and the database are', { skip }, async () => {
  await using postgres = await startPostgres();
  await using cluster = await startCluster({ nodes: 1, database: postgres });
  assert.deepEqual(await failedChecks(cluster), []);

  await postgres.database.run(sql`ALTER TABLE hello_world RENAME TO hello_world_moved`);

  const [failed, ...others] = await failedChecks(cluster);
  assert.match(failed ?? '', /^database read\/write: error reading from table: /);
  assert.deepEqual(others, []);
});
