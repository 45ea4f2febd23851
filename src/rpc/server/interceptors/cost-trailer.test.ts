import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GitalyError } from '#base/gitaly-error';
import { callable } from '#rpc/common/grpc/grpc-method';
import { all, connectTo } from '#testkit/in-process-rpc';
import { BlobService } from '#wire/gen/blob_pb';
import { CommitService } from '#wire/gen/commit_pb';
import { RepositoryService } from '#wire/gen/repository_pb';
import { ServerService } from '#wire/gen/server_pb';
import { SSHService } from '#wire/gen/ssh_pb';
import { serve } from '../handler.ts';
import { addCostTrailer } from './cost-trailer.ts';

const MEBIBYTE = 1 << 20;

test('each answer has a trailer with its cost, as Gitaly 19.0 reckons it', async () => {
  await using server = connectTo({
    interceptors: [addCostTrailer],
    services: [
      serve(ServerService, { serverInfo: () => ({}) }),
      serve(CommitService, {
        findCommit: ({ revision }) => {
          if (revision.length === 0) throw new GitalyError('INVALID_ARGUMENT', 'empty revision');
          return { commit: { subject: Buffer.alloc(3 * MEBIBYTE) } };
        },
      }),
      serve(BlobService, {
        getBlob: async function* ({ limit }) {
          for (let count = 0n; count < limit; count++) yield { data: Buffer.alloc(MEBIBYTE) };
        },
        getBlobs: async function* () {},
      }),
      serve(RepositoryService, { writeRef: () => ({}) }),
      serve(SSHService, {
        sSHReceivePack: async function* (requests) {
          for await (const { stdin } of requests) yield { stdout: stdin };
        },
      }),
    ],
  });
  const { channel } = server;
  const findCommit = callable(CommitService.method.findCommit);
  const getBlob = callable(BlobService.method.getBlob);
  const cases = [
    [
      'nothing to send or receive',
      () => channel.invoke(callable(ServerService.method.serverInfo), [{}]),
      '0',
    ],
    ['a reading call', () => channel.invoke(findCommit, [{ revision: Buffer.from('x') }]), '2'],
    ['a large request', () => channel.invoke(findCommit, [{ revision: Buffer.alloc(2 * MEBIBYTE) }]), '4'],
    ['a refusal', () => channel.invoke(findCommit, [{}]), '1'],
    ['a stream', () => channel.invoke(getBlob, [{ limit: 3n }]), '5'],
    [
      'a method with a weight of its own',
      () => channel.invoke(callable(BlobService.method.getBlobs), [{}]),
      '6',
    ],
    [
      'a writing call',
      () => channel.invoke(callable(RepositoryService.method.writeRef), [{ ref: Buffer.from('x') }]),
      '6',
    ],
    [
      'a stream in both directions',
      () => channel.invoke(callable(SSHService.method.sSHReceivePack), [{ stdin: Buffer.alloc(MEBIBYTE) }]),
      '13',
    ],
    ['no such method', () => channel.invoke(callable(CommitService.method.listFiles), [{}]), '1'],
  ] as const;

  for (const [name, invoke, cost] of cases) {
    const call = invoke();
    await all<unknown>(call).catch(() => {});
    assert.equal((await call.trailers).get('x-gitaly-cost'), cost, name);
  }
});
