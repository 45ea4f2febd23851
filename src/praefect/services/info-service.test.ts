import assert from 'node:assert/strict';
import { test } from 'node:test';
import { create } from '@bufbuild/protobuf';
import { callable } from '#rpc/common/grpc/grpc-method';
import { all, connectTo, only } from '#testkit/clients/in-process-rpc';
import { PraefectInfoService } from '#wire/gen/praefect_pb';
import { CalculateChecksumResponseSchema } from '#wire/gen/repository_pb';
import type { GitalyNode } from '../nodes/gitaly-node.ts';
import type { RepositoryMetadata } from '../store/repository-metadata.ts';
import { type InfoServiceOptions, infoService } from './info-service.ts';

const repositoryReplicas = callable(PraefectInfoService.method.repositoryReplicas);
const datalossCheck = callable(PraefectInfoService.method.datalossCheck);
const setAuthoritativeStorage = callable(PraefectInfoService.method.setAuthoritativeStorage);
const dataloss = callable(PraefectInfoService.method.dataloss);
const markUnverified = callable(PraefectInfoService.method.markUnverified);
const setReplicationFactor = callable(PraefectInfoService.method.setReplicationFactor);
const getRepositoryMetadata = callable(PraefectInfoService.method.getRepositoryMetadata);

const repository = { storageName: 'default', relativePath: 'a.git' };

const replica = (storage: string, fields: Partial<RepositoryMetadata['replicas'][number]> = {}) => ({
  storage,
  generation: 3,
  isAssigned: true,
  isHealthy: true,
  isValidPrimary: true,
  verifiedAt: undefined,
  ...fields,
});

const FOUND: RepositoryMetadata = {
  repositoryId: 7,
  virtualStorage: 'default',
  relativePath: 'a.git',
  replicaPath: '@cluster/a',
  primary: 'one',
  generation: 3,
  hasExplicitAssignments: true,
  replicas: [replica('one'), replica('two'), replica('three', { isAssigned: false })],
};

/** A node whose checksums are its name and the path. */
function node(storage: string): GitalyNode {
  const calculateChecksum = async ({
    repository: { storageName, relativePath },
  }: {
    repository: typeof repository;
  }) => create(CalculateChecksumResponseSchema, { checksum: `${storageName} ${relativePath}` });
  // All that the service uses of a node.
  return { storage, connection: { repository: { calculateChecksum } } } as unknown as GitalyNode;
}

function start(options: Partial<Record<keyof InfoServiceOptions, unknown>> = {}) {
  const changed: unknown[] = [];
  const service = infoService({
    nodes: new Map([['default', ['one', 'two'].map(node)]]),
    metadata: { byPath: async () => FOUND, byId: async () => FOUND },
    primaryOf: async () => 'one',
    onChanged: async (each: unknown) => void changed.push(each),
    ...options,
    // All that these calls use of the database.
  } as unknown as InfoServiceOptions);
  const server = connectTo({ services: [service] });
  return { changed, channel: server.channel, [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() };
}

test('the checksums of the assigned replicas are read at their path on the disks', async () => {
  await using praefect = start();

  const { primary, replicas } = await only(praefect.channel.invoke(repositoryReplicas, [{ repository }]));

  assert.deepEqual(
    [primary, ...replicas].map((each) => [
      each?.repository?.storageName,
      each?.repository?.relativePath,
      each?.checksum,
    ]),
    [
      ['one', 'a.git', 'one @cluster/a'],
      ['two', 'a.git', 'two @cluster/a'],
    ],
  );
});

const failing = (message: string) => () => Promise.reject(new Error(message));

for (const [message, options] of [
  ['get repository id: gone', { metadata: { byPath: failing('gone') } }],
  ['get repository id: repository not found', { metadata: { byPath: async () => undefined } }],
  ['get primary: gone', { primaryOf: failing('gone') }],
  ['get primary: no primary', { primaryOf: async () => undefined }],
  ['primary "three" is not an assigned host', { primaryOf: async () => 'three' }],
  ['no connection to "default"/"two"', { nodes: new Map([['default', [node('one')]]]) }],
  ['no connection to "default"/"one"', { nodes: new Map() }],
] as const) {
  test(`replicas cannot be compared: ${message}`, async () => {
    await using praefect = start(options);

    await assert.rejects(only(praefect.channel.invoke(repositoryReplicas, [{ repository }])), { message });
  });
}

test('a repository is unavailable without a valid primary; others are listed on request', async () => {
  const lost = { ...FOUND, relativePath: 'lost.git', replicas: [replica('one', { isValidPrimary: false })] };
  const behind = {
    ...FOUND,
    relativePath: 'behind.git',
    replicas: [replica('one'), replica('two', { generation: 1, isValidPrimary: false, isHealthy: false })],
  };
  const availability = {
    async *partiallyAvailable() {
      yield [lost, behind];
    },
  };
  await using praefect = start({ availability });
  const check = async (includePartiallyReplicated: boolean) => {
    const request = { virtualStorage: 'default', includePartiallyReplicated };
    return (await only(praefect.channel.invoke(datalossCheck, [request]))).repositories;
  };

  const pathsOf = (list: Awaited<ReturnType<typeof check>>) =>
    list.map(({ relativePath, unavailable }) => [relativePath, unavailable]);
  assert.deepEqual(pathsOf(await check(false)), [['lost.git', true]]);
  const all = await check(true);
  assert.deepEqual(pathsOf(all), [
    ['lost.git', true],
    ['behind.git', false],
  ]);
  assert.partialDeepStrictEqual(all[1]?.storages[1], {
    name: 'two',
    behindBy: 2n,
    assigned: true,
    healthy: false,
    validPrimary: false,
  });
  await assert.rejects(only(praefect.channel.invoke(datalossCheck, [{ virtualStorage: 'x' }])), {
    message: 'unknown virtual storage: "x"',
  });
});

test('an authoritative storage is set where the repository and the storage exist', async () => {
  const marked: unknown[] = [];
  let exists = true;
  const marks = {
    setAuthoritative: async (...args: unknown[]) => {
      marked.push(args);
      return exists;
    },
  };
  await using praefect = start({ marks });
  const set = (virtualStorage: string, authoritativeStorage: string) =>
    only(
      praefect.channel.invoke(setAuthoritativeStorage, [
        { virtualStorage, authoritativeStorage, relativePath: 'a.git' },
      ]),
    );
  const key = { virtualStorage: 'default', relativePath: 'a.git' };

  await set('default', 'two');
  assert.deepEqual(marked, [[key, 'two']]);
  assert.deepEqual(praefect.changed, [key]);

  exists = false;
  for (const [virtualStorage, storage, message] of [
    ['default', 'two', 'repository does not exist on virtual storage'],
    ['x', 'two', 'unknown virtual storage: "x"'],
    ['default', 'x', 'unknown authoritative storage: "x"'],
  ] as const)
    await assert.rejects(set(virtualStorage, storage), { code: 'INVALID_ARGUMENT', message });
  assert.equal(praefect.changed.length, 1);
});

test('metadata is found by id and by path', async () => {
  const asked: unknown[] = [];
  let found: RepositoryMetadata | undefined = FOUND;
  const ask = async (by: unknown) => {
    asked.push(by);
    return found;
  };
  await using praefect = start({ metadata: { byId: ask, byPath: ask } });
  const path = { virtualStorage: 'default', relativePath: 'a.git' };
  const byId = { case: 'repositoryId', value: 7n } as const;
  const byPath = { case: 'path', value: path } as const;
  const get = (query: typeof byId | typeof byPath) =>
    only(praefect.channel.invoke(getRepositoryMetadata, [{ query }]));

  const response = await get(byId);
  await get(byPath);

  assert.partialDeepStrictEqual(response, { repositoryId: 7n, replicaPath: '@cluster/a', primary: 'one' });
  assert.equal(asked[0], 7);
  assert.partialDeepStrictEqual(asked[1], path);
  found = undefined;
  await assert.rejects(get(byId), { code: 'NOT_FOUND', message: 'repository not found' });
  await assert.rejects(only(praefect.channel.invoke(getRepositoryMetadata, [{}])), {
    message: 'unknown query type: <nil>',
  });
});

test('losses are sent page by page, without those that hold none', async () => {
  const lost = { ...FOUND, replicas: [replica('one', { isValidPrimary: false })] };
  const pages = [[{ ...lost, relativePath: '1' }], [FOUND], [{ ...lost, relativePath: '2' }, FOUND]];
  await using praefect = start({ availability: { partiallyAvailable: () => pages } });
  const request = { virtualStorage: 'default' };

  const responses = await all(praefect.channel.invoke(dataloss, [request]));

  assert.deepEqual(
    responses.map(({ repositories }) => repositories.map(({ relativePath }) => relativePath)),
    [['1'], ['2']],
  );
  assert.equal(responses[0]?.repositories[0]?.primary, 'one');
  const { repositories } = await only(praefect.channel.invoke(datalossCheck, [request]));
  assert.equal(repositories.length, 2);
});

test('the facts about each replica are in the metadata', async () => {
  const verifiedAt = new Date(1_700_000_000_000);
  const replicas = [
    replica('one', { generation: 4, verifiedAt, isAssigned: false }),
    replica('two', { isHealthy: false, isValidPrimary: false }),
  ];
  await using praefect = start({ metadata: { byId: async () => ({ ...FOUND, replicas }) } });

  const query = { case: 'repositoryId', value: 7n } as const;
  const response = await only(praefect.channel.invoke(getRepositoryMetadata, [{ query }]));

  assert.deepEqual(
    [response.virtualStorage, response.relativePath, response.generation],
    ['default', 'a.git', 3n],
  );
  assert.deepEqual(
    response.replicas.map((each) => [
      ...[each.storage, each.generation, each.assigned, each.healthy, each.validPrimary],
      each.verifiedAt?.seconds,
    ]),
    [
      ['one', 4n, false, true, true, 1_700_000_000n],
      ['two', 3n, true, false, false, undefined],
    ],
  );
  await using broken = start({ metadata: { byId: failing('gone') } });
  await assert.rejects(only(broken.channel.invoke(getRepositoryMetadata, [{ query }])), {
    message: 'get metadata: gone',
  });
});

test('replicas are marked by the selector of the request', async () => {
  const selected: unknown[] = [];
  const mark = async (selector: unknown) => selected.push(selector);
  await using praefect = start({ marks: { markUnverified: mark } });
  const storage = { virtualStorage: 'default', storage: 'one' };
  const marked: bigint[] = [];

  for (const selector of [
    { case: 'repositoryId', value: 7n },
    { case: 'virtualStorage', value: 'default' },
    { case: 'storage', value: storage },
  ] as const)
    marked.push((await only(praefect.channel.invoke(markUnverified, [{ selector }]))).replicasMarked);

  assert.deepEqual(selected, [{ repositoryId: 7 }, { virtualStorage: 'default' }, storage]);
  assert.deepEqual(marked, [1n, 2n, 3n]);
  await assert.rejects(only(praefect.channel.invoke(markUnverified, [{}])), {
    message: 'unknown selector: <nil>',
  });
  await using broken = start({ marks: { markUnverified: failing('gone') } });
  const selector = { case: 'virtualStorage', value: 'default' } as const;
  await assert.rejects(only(broken.channel.invoke(markUnverified, [{ selector }])), {
    message: 'schedule verification: gone',
  });
});

test('a replication factor is set for a repository, and failures are named', async () => {
  const asked: unknown[] = [];
  const set = async (...args: unknown[]) => {
    asked.push(args);
    return ['one', 'two'];
  };
  await using praefect = start({ assignments: { setReplicationFactor: set } });
  const request = { virtualStorage: 'default', relativePath: 'a.git', replicationFactor: 2 };

  const { storages } = await only(praefect.channel.invoke(setReplicationFactor, [request]));

  assert.deepEqual(storages, ['one', 'two']);
  assert.deepEqual(asked, [[{ virtualStorage: 'default', relativePath: 'a.git' }, 2]]);
  await using broken = start({ assignments: { setReplicationFactor: failing('gone') } });
  await assert.rejects(only(broken.channel.invoke(setReplicationFactor, [request])), {
    message: 'set replication factor: gone',
  });
});
