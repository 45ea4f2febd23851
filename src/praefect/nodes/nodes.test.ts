import assert from 'node:assert/strict';
import { test } from 'node:test';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { Metadata } from '#rpc/common/metadata';
import { startGitaly } from '#testkit/start-gitaly';
import { until } from '#testkit/until';
import {
  RepositoryExistsRequestSchema,
  RepositoryExistsResponseSchema,
  RepositoryService,
} from '#wire/gen/repository_pb';
import { methodInfo } from '#wire/method-info';
import { praefectConfigFrom } from '../config/load-praefect-config.ts';
import type { GitalyNode } from './gitaly-node.ts';
import { Nodes } from './nodes.ts';

interface NodeTable {
  readonly storage: string;
  readonly address: string;
  readonly token?: string;
}

async function dial(virtualStorages: Readonly<Record<string, readonly NodeTable[]>>): Promise<Nodes> {
  const { config } = praefectConfigFrom({
    socket_path: '/s',
    virtual_storage: Object.entries(virtualStorages).map(([name, node]) => ({
      name,
      node: node.map((each) => ({ ...each })),
    })),
  });
  return await Nodes.dial(config, (stream) => void stream.destroy());
}

test('nodes are kept by virtual storage, in the order of the configuration', async () => {
  await using nodes = await dial({
    one: [
      { storage: 'b', address: 'unix:/b' },
      { storage: 'a', address: 'unix:/a', token: 'secret' },
    ],
    two: [{ storage: 'a', address: 'unix:/a' }],
  });

  assert.deepEqual(
    [...nodes.byStorage].map(([name, all]) => [name, all.map(({ config }) => config)]),
    [
      [
        'one',
        [
          { virtualStorage: 'one', storage: 'b', address: 'unix:/b', token: undefined },
          { virtualStorage: 'one', storage: 'a', address: 'unix:/a', token: 'secret' },
        ],
      ],
      ['two', [{ virtualStorage: 'two', storage: 'a', address: 'unix:/a', token: undefined }]],
    ],
  );
});

test('calls of a node carry its token, on all of its connections', async () => {
  await using gitaly = await startGitaly({ token: 'secret' });
  const { address } = gitaly;
  await using nodes = await dial({
    default: [
      { storage: 'default', address, token: 'secret' },
      { storage: 'default-2', address },
    ],
  });
  const [allowed, refused] = nodes.byStorage.get('default') ?? [];
  assert.ok(allowed && refused);

  for (let read = 0; read < 2; read++) assert.equal(await exists(allowed), false);
  await allowed.connection.server.serverInfo({});

  await assert.rejects(exists(refused), { code: 'UNAUTHENTICATED' });
});

/** Reads whether a repository exists. */
async function exists(node: GitalyNode): Promise<boolean> {
  const repository = { storageName: 'default', relativePath: 'a.git' };
  const request = create(RepositoryExistsRequestSchema, { repository });
  const requests = [Buffer.from(toBinary(RepositoryExistsRequestSchema, request))];
  const method = methodInfo(RepositoryService.method.repositoryExists);
  const [response] = await Array.fromAsync(node.invokeRaw(method, requests, { metadata: Metadata.from() }));
  return fromBinary(RepositoryExistsResponseSchema, response ?? assert.fail()).exists;
}

test('a node is ready with its connection, and its end is reported', async () => {
  const gitaly = await startGitaly();
  await using nodes = await dial({ default: [{ storage: 'default', address: gitaly.address }] });
  const [node] = nodes.byStorage.get('default') ?? [];
  assert.ok(node);
  const failures: unknown[] = [];
  let disconnects = 0;
  node.onDisconnect = () => disconnects++;
  assert.equal(node.storage, 'default');
  assert.equal(node.isReady, false, 'it connects at the first call');

  assert.equal(await node.isServing(10_000, (error) => failures.push(error)), true);

  assert.deepEqual([node.isReady, failures, disconnects], [true, [], 0]);
  await gitaly[Symbol.asyncDispose]();
  await until(() => disconnects === 1);
  assert.equal(node.isReady, false);
  assert.equal(await node.isServing(10_000, (error) => failures.push(error)), false);
  assert.equal(failures.length, 1);
});
