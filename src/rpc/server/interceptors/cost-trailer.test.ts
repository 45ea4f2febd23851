import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GitalyError } from '#base/gitaly-error';
import { callable } from '#rpc/common/grpc/grpc-method';
import { all, connectTo } from '#testkit/clients/in-process-rpc';
import { BlobService } from '#wire/gen/blob_pb';
import { CommitService } from '#wire/gen/commit_pb';
import { RepositoryService } from '#wire/gen/repository_pb';
import { ServerService } from '#wire/gen/server_pb';
import { SSHService } from '#wire/gen/ssh_pb';
import { methodInfo } from '#wire/method-info';
import { gitalyServices } from '#wire/methods';
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

// costhandler.go of Gitaly 19.0
const OF_THEIR_OWN = {
  '/gitaly.SmartHTTPService/PostUploadPackWithSidechannel': 10,
  '/gitaly.SmartHTTPService/PostReceivePack': 10,
  '/gitaly.SSHService/SSHUploadPack': 10,
  '/gitaly.SSHService/SSHUploadPackWithSidechannel': 10,
  '/gitaly.SSHService/SSHReceivePack': 10,
  '/gitaly.DiffService/CommitDiff': 8,
  '/gitaly.DiffService/RawDiff': 8,
  '/gitaly.DiffService/RawPatch': 8,
  '/gitaly.BlobService/GetBlobs': 6,
  '/gitaly.BlobService/ListBlobs': 6,
  '/gitaly.CommitService/ListCommits': 6,
  '/gitaly.RefService/FindDefaultBranchName': 1,
  '/gitaly.RepositoryService/RepositoryExists': 1,
  '/gitaly.ServerService/ServerInfo': 0,
};
const BY_OPERATION = { accessor: 1, mutator: 5, maintenance: 3, unknown: 1 };

test('each method has the weight of Gitaly 19.0', async () => {
  const services = gitalyServices.map((service) => serve(service, {}));
  await using server = connectTo({ interceptors: [addCostTrailer], services });
  const expected: Readonly<Record<string, number>> = OF_THEIR_OWN;

  for (const method of gitalyServices.flatMap(({ methods }) => methods)) {
    // Calls that no handler serves have a cost, too.
    const call = server.channel.invoke(callable(method), [{}]);
    await all<unknown>(call).catch(() => {});
    const { operation, path } = methodInfo(method);
    const cost = (await call.trailers).get('x-gitaly-cost');
    assert.equal(cost, String(expected[path] ?? BY_OPERATION[operation]), path);
  }
});
