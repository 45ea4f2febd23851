import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GitalyError } from '#base/gitaly-error';
import { StorageFixture } from '#testkit/repositories/storage-fixture';
import type { RemoteRepository } from '../remote/server/remote-repository.ts';
import type { ReplicateOptions } from './replicate-options.ts';
import { replicateRepository } from './replicate-repository.ts';

const target = { storageName: 'default', relativePath: 'copy.git' };

// Born failing: the text had prefixes, by which praefects do not recognize it.
for (const [code, message] of [
  ['NOT_FOUND', 'invalid source repository'],
  ['FAILED_PRECONDITION', 'invalid source repository'],
  [
    'UNAVAILABLE',
    'could not create repository from snapshot: creating repository: extracting snapshot: no snapshot',
  ],
] as const)
  test(`a source that is removed before its snapshot is read: ${code}`, async () => {
    await using fixture = await StorageFixture.create();
    // All that is used of a source which is removed after the first call.
    const source = {
      exists: async () => true,
      config: async () => Buffer.alloc(0),
      async *snapshot() {
        yield await Promise.reject<Uint8Array>(new GitalyError(code, 'no snapshot'));
      },
    } as unknown as RemoteRepository;
    const options = {
      vote: undefined,
      signal: new AbortController().signal,
      onMovedAway: () => {},
    } as unknown as ReplicateOptions; // the copy ends before it needs the others

    await assert.rejects(replicateRepository(fixture.storages, target, source, options), {
      code: message === 'invalid source repository' ? 'NOT_FOUND' : code,
      message,
    });
    assert.throws(() => fixture.storages.open(target), { code: 'NOT_FOUND' });
  });
