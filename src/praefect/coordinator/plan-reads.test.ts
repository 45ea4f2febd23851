import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GitalyError } from '#base/gitaly-error';
import { coordinatedCall, readyNode, sentMessages } from '#testkit/praefect/handlers';
import { RemoteService } from '#wire/gen/remote_pb';
import {
  OptimizeRepositoryRequestSchema,
  RepositoryService,
  RepositorySizeRequestSchema,
} from '#wire/gen/repository_pb';
import type { CoordinatedCallOptions } from './call.ts';
import { planMaintenance, planRead, planStorageCall } from './coordinator.ts';

const repository = { storageName: 'default', relativePath: 'a.git', glRepository: 'project-1' };
const key = { virtualStorage: 'default', relativePath: 'a.git' };
const { repositorySize, objectFormat, optimizeRepository, getObjectDirectorySize, removeAll } =
  RepositoryService.method;
const [one, two, three] = [readyNode('one'), readyNode('two'), readyNode('three')];

function optionsWith(router: object) {
  const reads: unknown[] = [];
  const searches: { readonly waits: boolean; readonly virtualStorage: string }[] = [];
  const options = {
    ...{ router, unrecorded: { whenRecorded: (_: unknown, run: () => unknown) => run() } },
    metrics: { countRead: (...read: unknown[]) => void reads.push(read) },
    reachable: {
      route: async (search: {
        find: () => Promise<unknown>;
        nodesOf: (route: unknown) => unknown;
        waits: boolean;
        virtualStorage: string;
      }) => {
        searches.push(search);
        const route = await search.find();
        assert.ok(search.nodesOf(route));
        return route;
      },
    },
  } as unknown as CoordinatedCallOptions; // what these plans use
  return { options, reads, searches };
}

const failing = (error: Error) => async () => {
  throw error;
};
const notFound = new GitalyError('NOT_FOUND', 'repository not found');

for (const [name, method, headers, onPrimary] of [
  ['RepositorySize', repositorySize, {}, true],
  ['GetObjectDirectorySize', getObjectDirectorySize, {}, true],
  ['another method', objectFormat, {}, false],
  [
    'a method whose client wants it',
    objectFormat,
    { 'gitaly-route-repository-accessor-policy': 'primary-only' },
    true,
  ],
  ['a method with another policy', objectFormat, { 'gitaly-route-repository-accessor-policy': 'any' }, false],
] as const)
  test(`${name} is read from ${onPrimary ? 'the primary' : 'any replica'}`, async () => {
    const asked: unknown[] = [];
    const accessor = async (...args: unknown[]) => {
      asked.push(args);
      return { node: two, replicaPath: '@cluster/a' };
    };
    const { options } = optionsWith({ accessor });
    const { call } = coordinatedCall(method, { repository }, headers);

    await planRead(options, call);

    assert.deepEqual(asked, [[key, { onPrimary }]]);
  });

test('a read goes to one node, with its names, and is counted', async () => {
  const accessor = async () => ({ node: two, replicaPath: '@cluster/a' });
  const { options, reads, searches } = optionsWith({ accessor });
  const { call, fields } = coordinatedCall(repositorySize, { repository }, { authorization: 'Bearer x' });

  const { finish, primary, secondaries } = await planRead(options, call);

  assert.equal(primary.node, two);
  assert.deepEqual(secondaries, []);
  const [message] = sentMessages(RepositorySizeRequestSchema, [primary]);
  assert.partialDeepStrictEqual(message?.repository, {
    ...repository,
    storageName: 'two',
    relativePath: '@cluster/a',
  });
  assert.deepEqual(
    ['virtual_storage', 'x-gitlab-correlation-id', 'authorization'].map((name) => primary.metadata.get(name)),
    ['default', 'id', undefined],
  );
  assert.deepEqual(reads, [['default', 'two']]);
  assert.deepEqual(fields, { route: { replica_path: '@cluster/a', storage: 'two' } });
  assert.partialDeepStrictEqual(searches, [{ waits: false, virtualStorage: 'default' }]);
  const error = new Error('failed');
  assert.equal(primary.onError(error), error);
  await finish();
});

test('a read without a route fails with its place', async () => {
  const plan = async (error: Error) =>
    await planRead(
      optionsWith({ accessor: failing(error) }).options,
      coordinatedCall(objectFormat, { repository }).call,
    );

  await assert.rejects(plan(new GitalyError('UNAVAILABLE', 'no')), {
    code: 'UNAVAILABLE',
    message: 'accessor call: route repository accessor: no',
  });
  await assert.rejects(plan(notFound), (error: GitalyError) => {
    assert.deepEqual([error.code, error.message], ['NOT_FOUND', 'repository not found']);
    assert.deepEqual(error.metadata, { storage_name: 'default', relative_path: 'a.git' });
    return true;
  });
  const readOnly = new GitalyError('FAILED_PRECONDITION', 'repository is in read-only mode');
  await assert.rejects(plan(readOnly), { message: readOnly.message });
  const other = new GitalyError('NOT_FOUND', 'additional repository not found');
  await assert.rejects(plan(other), {
    message: `accessor call: route repository accessor: ${other.message}`,
  });
});

test('maintenance goes to all nodes, and fails with the first error in their order', async () => {
  const nodes = [one, two, three];
  const maintenance = async () => ({ nodes, replicaPath: '@cluster/a', repositoryId: 7 });
  const { options } = optionsWith({ maintenance });
  const { call, fields } = coordinatedCall(optimizeRepository, { repository });

  const { finish, primary, secondaries } = await planMaintenance(options, call);

  const all = [primary, ...secondaries];
  assert.deepEqual(
    all.map(({ node }) => node),
    nodes,
  );
  assert.deepEqual(
    sentMessages(OptimizeRepositoryRequestSchema, all).map((message) => [
      message.repository?.storageName,
      message.repository?.relativePath,
    ]),
    ['one', 'two', 'three'].map((storage) => [storage, '@cluster/a']),
  );
  assert.equal(secondaries[1]?.metadata.get('virtual_storage'), 'default');
  assert.deepEqual(fields, {
    route: { repository_id: 7, replica_path: '@cluster/a', storages: ['one', 'two', 'three'] },
  });
  await finish();
  assert.equal(secondaries[1]?.onError(new Error('third')), undefined, 'the others come to their end');
  assert.equal(secondaries[0]?.onError(new Error('second')), undefined);
  await assert.rejects(finish(), { message: 'second' });
});

test('maintenance without a healthy node or a repository fails', async () => {
  const plan = async (maintenance: () => Promise<unknown>) =>
    await planMaintenance(
      optionsWith({ maintenance }).options,
      coordinatedCall(optimizeRepository, { repository }).call,
    );

  await assert.rejects(
    plan(async () => ({ nodes: [], replicaPath: 'a', repositoryId: 7 })),
    {
      message: 'no healthy nodes',
    },
  );
  await assert.rejects(plan(failing(new Error('gone'))), {
    message: 'maintenance call: route repository maintenance: gone',
  });
  await assert.rejects(plan(failing(notFound)), { message: 'repository not found' });
});

test('a read of a storage goes to one node, a change to all', async () => {
  const router = {
    storageAccessor: async (name: string) => readyNode(`any of ${name}`),
    storageMutator: async (name: string) => ({
      primary: readyNode(`first of ${name}`),
      secondaries: [two, three],
    }),
  };
  const { options } = optionsWith(router);
  const read = coordinatedCall(RemoteService.method.findRemoteRepository, {
    remote: 'https://x',
    storageName: 'default',
  });
  const change = coordinatedCall(removeAll, { storageName: 'default' });

  const reading = await planStorageCall(options, read.call);
  const changing = await planStorageCall(options, change.call);

  const storagesOf = ({ primary, secondaries }: typeof reading) =>
    [primary, ...secondaries].map(({ node }) => node.storage);
  assert.deepEqual(storagesOf(reading), ['any of default']);
  assert.deepEqual(storagesOf(changing), ['first of default', 'two', 'three']);
  assert.deepEqual(read.fields, { route: { storage: 'any of default' } });
  const sent = sentMessages(removeAll.input, [changing.primary, ...changing.secondaries]);
  assert.deepEqual(
    sent.map(({ storageName }) => storageName),
    ['first of default', 'two', 'three'],
  );
  assert.equal(changing.secondaries[0]?.metadata.get('virtual_storage'), 'default');
  const error = new Error('failed');
  assert.equal(changing.secondaries[0]?.onError(error), error);
  await changing.finish();
  const unnamed = coordinatedCall(removeAll, {});
  await assert.rejects(planStorageCall(options, unnamed.call), {
    code: 'INVALID_ARGUMENT',
    message: 'storage scoped: target storage is invalid',
  });
});
