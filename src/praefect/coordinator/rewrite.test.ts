import assert from 'node:assert/strict';
import { test } from 'node:test';
import { create, fromBinary } from '@bufbuild/protobuf';
import { CreateObjectPoolRequestSchema, ObjectPoolService } from '#wire/gen/objectpool_pb';
import { methodInfo } from '#wire/method-info';
import { rewriteRepositories } from './rewrite.ts';

const METHOD = methodInfo(ObjectPoolService.method.createObjectPool);
const names = { storage: 'one', replicaPath: '@cluster/a', additionalReplicaPath: '@cluster/b' };

function rewritten(originStorage: string, additionalReplicaPath: string | undefined) {
  const request = create(CreateObjectPoolRequestSchema, {
    objectPool: { repository: { storageName: 'default', relativePath: 'a.git', glRepository: 'project-1' } },
    origin: { storageName: originStorage, relativePath: 'b.git' },
  });
  const frame = rewriteRepositories(METHOD, request, { ...names, additionalReplicaPath });
  const { objectPool, origin } = fromBinary(CreateObjectPoolRequestSchema, frame);
  assert.equal(objectPool?.repository?.glRepository, 'project-1');
  return [objectPool?.repository, origin].map((each) => `${each?.storageName} ${each?.relativePath}`);
}

test('both repositories of a request get the names of the node', () => {
  assert.deepEqual(rewritten('default', '@cluster/b'), ['one @cluster/a', 'one @cluster/b']);
});

test('a second repository without a replica keeps its names', () => {
  assert.deepEqual(rewritten('other', undefined), ['one @cluster/a', 'other b.git']);
});

test('repositories of two storages are refused', () => {
  assert.throws(() => rewritten('other', '@cluster/b'), {
    code: 'INVALID_ARGUMENT',
    message: 'resolving additional repository on different storage than target repository is not supported',
  });
});

test('a request without its repository is refused', () => {
  const request = create(CreateObjectPoolRequestSchema, {});

  assert.throws(() => rewriteRepositories(METHOD, request, names), {
    code: 'INVALID_ARGUMENT',
    message: 'repository not set',
  });
});
