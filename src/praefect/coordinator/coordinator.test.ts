import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GitalyError } from '#base/gitaly-error';
import { coordinatedCall, readyNode } from '#testkit/praefect/handlers';
import { PartitionService } from '#wire/gen/partition_pb';
import { RepositoryService } from '#wire/gen/repository_pb';
import { methodInfo } from '#wire/method-info';
import { Coordinator, type CoordinatorOptions } from './coordinator.ts';

const { objectFormat, optimizeRepository, writeRef } = RepositoryService.method;

/** Calls a method, up to the search for its nodes. */
async function call(
  method: Parameters<typeof methodInfo>[0],
  frame: Uint8Array,
  options: Partial<Record<keyof CoordinatorOptions, unknown>> = {},
) {
  const counted: string[] = [];
  const searched: string[] = [];
  const search = (name: string) => async () => {
    searched.push(name);
    throw new Error('searched');
  };
  const coordinator = new Coordinator({
    router: { knows: (name: string) => name === 'default', maintenance: search('maintenance') },
    reachable: { route: search('read') },
    pauses: { write: search('write') },
    metrics: { countMethodType: (type: string) => void counted.push(type), countRead: () => {} },
    ...options,
  } as unknown as CoordinatorOptions); // what is used before the nodes are known
  const { call: made, fields } = coordinatedCall(method, {});
  async function* requests() {
    yield Buffer.from(frame);
  }
  const responses = coordinator.handler(methodInfo(method))(requests(), made.context);
  const failure: unknown = await Array.fromAsync(responses).then(
    () => undefined,
    (error: unknown) => error,
  );
  return { failure, counted, searched, fields };
}

function statusOf(failure: unknown): readonly [code: string, message: string] {
  assert.ok(failure instanceof GitalyError);
  return [failure.code, failure.message];
}

/** Encodes a repository as the first field of a request. */
function frameOf(storageName: string, relativePath: string): Uint8Array {
  const texts = [storageName, relativePath].map((text) => Buffer.from(text));
  const fields = texts.map((text, index) => Buffer.concat([Buffer.of(0x12 + 8 * index, text.length), text]));
  const message = Buffer.concat(fields);
  return Buffer.concat([Buffer.of(0x0a, message.length), message]);
}

for (const { method, type, searched } of [
  { method: objectFormat, type: 'accessor', searched: 'read' },
  { method: writeRef, type: 'mutator', searched: 'write' },
  { method: optimizeRepository, type: 'maintenance', searched: 'maintenance' },
])
  test(`a call is counted, logged and routed as ${type}`, async () => {
    const result = await call(method, frameOf('default', 'a.git'));

    assert.match(String(result.failure), /searched/);
    assert.deepEqual(result.counted, [type]);
    assert.deepEqual(result.searched, [searched]);
    assert.deepEqual(result.fields, { virtual_storage: 'default', relative_path: 'a.git' });
  });

test('a call on a storage is routed by its name alone', async () => {
  const removal = Buffer.concat([Buffer.of(0x0a, 7), Buffer.from('default')]);
  const searched: unknown[] = [];
  const { failure } = await call(RepositoryService.method.removeAll, removal, {
    router: {
      knows: () => true,
      storageMutator: async (name: string) => {
        searched.push(name);
        throw new Error('searched');
      },
    },
  });

  assert.match(String(failure), /searched/);
  assert.deepEqual(searched, ['default']);
});

for (const { names, message } of [
  { names: ['', ''], message: 'repository not set' },
  { names: ['', 'a.git'], message: 'storage name not set' },
  { names: ['default', ''], message: 'repository path not set' },
  { names: ['other', 'a.git'], message: 'storage name not found' },
] as const)
  test(`a call on the repository "${names.join('/')}" is refused: ${message}`, async () => {
    const [storageName = '', relativePath = ''] = names;
    const { failure, searched } = await call(objectFormat, frameOf(storageName, relativePath));

    assert.deepEqual(statusOf(failure), ['INVALID_ARGUMENT', message]);
    assert.deepEqual(
      (failure as GitalyError).metadata,
      message.includes('found') ? { storage_name: 'other' } : {},
    );
    assert.deepEqual(searched, []);
  });

test('a call without a repository, or that cannot be decoded, is refused', async () => {
  const empty = await call(objectFormat, Buffer.alloc(0));
  assert.deepEqual(statusOf(empty.failure), ['INVALID_ARGUMENT', 'repository not set']);

  const { counted, failure } = await call(objectFormat, Buffer.of(0x0a, 0xff));
  assert.equal(statusOf(failure)[0], 'INTERNAL');
  assert.deepEqual(counted, []);
});

test('calls on partitions cannot be routed', async () => {
  const { failure } = await call(PartitionService.method.backupPartition, Buffer.alloc(0));

  assert.deepEqual(statusOf(failure), ['INTERNAL', 'rpc with undefined scope "partition"']);
});

test('a node that ends a call with an error is reported, and its error is the result', async () => {
  const error = new GitalyError('INTERNAL', 'disk full');
  const responses = { next: () => Promise.reject(error) };
  const stream = { [Symbol.asyncIterator]: () => responses, cancel: () => {} };
  const node = { ...readyNode('one'), invokeRaw: () => stream };
  const reported: unknown[] = [];

  const { failure } = await call(objectFormat, frameOf('default', 'a.git'), {
    reachable: { route: async () => ({ node, replicaPath: '@cluster/a' }) },
    onNodeError: (...args: unknown[]) => void reported.push(args),
  });

  assert.equal(failure, error);
  assert.deepEqual(reported, [[node, 'accessor', error]]);
});
