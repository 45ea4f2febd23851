import assert from 'node:assert/strict';
import { test } from 'node:test';
import { create, toBinary } from '@bufbuild/protobuf';
import { encodeFrame } from '#rpc/common/grpc/grpc-frame';
import { callable } from '#rpc/common/grpc/grpc-method';
import { all, connectTo } from '#testkit/clients/in-process-rpc';
import { settle } from '#testkit/clients/raw-yamux-peer';
import { CommitService, ListCommitsByOidRequestSchema } from '#wire/gen/commit_pb';
import { SSHService } from '#wire/gen/ssh_pb';
import { serve } from './handler.ts';

const filterShas = callable(CommitService.method.filterShasWithSignatures);

// Each takes 12 MB of the 32 that large requests have: memory that is not given back stops the
// server.
test('the memory of large requests is given back by the next message, and at the end', async () => {
  const oid = Array.from({ length: 90_000 }, () => '');
  const large = encodeFrame([
    toBinary(ListCommitsByOidRequestSchema, create(ListCommitsByOidRequestSchema, { oid })),
  ]);
  await using server = connectTo({
    services: [
      serve(CommitService, {
        listCommitsByOid: async function* () {},
        filterShasWithSignatures: async function* (requests) {
          for await (const { shas } of requests) yield { shas: [Buffer.from(String(shas.length))] };
        },
      }),
      serve(SSHService, { sSHReceivePack: async function* () {} }),
    ],
  });
  const shas = Array.from({ length: 90_000 }, () => Buffer.alloc(0));

  const answers = await all(
    server.channel.invoke(
      filterShas,
      Array.from({ length: 4 }, () => ({ shas })),
    ),
  );
  assert.equal(answers.length, 4);
  for (let call = 0; call < 4; call++) {
    const request = large[0]?.subarray(5) ?? Buffer.alloc(0);
    await all(
      server.channel.invokeRaw(callable(CommitService.method.listCommitsByOid), [Buffer.from(request)]),
    );
  }
});

test('the memory of a large request that nobody waits for is given back', async () => {
  const shas = Array.from({ length: 90_000 }, () => Buffer.alloc(0));
  await using server = connectTo({
    services: [
      serve(CommitService, {
        filterShasWithSignatures: async function* (requests, { headers }) {
          if (headers.has('x-read')) {
            yield { shas: [Buffer.from(String((await all(requests)).length))] };
            return;
          }
          await settle();
          requests[Symbol.asyncIterator]()
            .next()
            .catch(() => {});
        },
      }),
    ],
  });

  for (let call = 0; call < 4; call++)
    assert.deepEqual(await all(server.channel.invoke(filterShas, [{ shas }])), []);

  const metadata = { 'x-read': '1' };
  assert.equal((await all(server.channel.invoke(filterShas, [{ shas }], { metadata }))).length, 1);
});
