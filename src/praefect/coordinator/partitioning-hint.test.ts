import assert from 'node:assert/strict';
import { test } from 'node:test';
import { create } from '@bufbuild/protobuf';
import { Metadata } from '#rpc/common/metadata';
import type { HandlerContext } from '#rpc/server/handler';
import { CreateForkRequestSchema, RepositoryService } from '#wire/gen/repository_pb';
import { methodInfo } from '#wire/method-info';
import { PARTITIONING_HINT, partitioningHint } from './partitioning-hint.ts';

const fork = create(CreateForkRequestSchema, {
  repository: { storageName: 'default', relativePath: 'fork.git' },
  sourceRepository: { storageName: 'default', relativePath: 'source.git' },
});

/** The hint of a call with values of the metadata. */
function hintOf(method: keyof typeof RepositoryService.method, request: typeof fork, ...values: string[]) {
  const headers = Metadata.from({});
  for (const value of values) headers.append(PARTITIONING_HINT, value);
  // Only the headers matter here.
  const context = { headers } as Pick<HandlerContext, 'headers'> as HandlerContext;
  return partitioningHint(methodInfo(RepositoryService.method[method]), request, context);
}

test('the hint of the metadata counts, and only one is allowed', () => {
  assert.equal(hintOf('createRepository', fork, 'other.git'), 'other.git');
  assert.equal(hintOf('createFork', fork, 'other.git'), 'other.git');
  assert.equal(hintOf('createRepository', fork), undefined);
  assert.throws(() => hintOf('createRepository', fork, 'a.git', 'b.git'), {
    message: 'mutator call: extract partitioning hint: multiple hints',
  });
});

test('without a hint a fork is stored with its source, if that is in the same storage', () => {
  assert.equal(hintOf('createFork', fork), 'source.git');
  assert.equal(hintOf('createFork', fork, ''), 'source.git');
  const elsewhere = create(CreateForkRequestSchema, {
    repository: { storageName: 'default', relativePath: 'fork.git' },
    sourceRepository: { storageName: 'other', relativePath: 'source.git' },
  });
  assert.equal(hintOf('createFork', elsewhere), undefined);
});
