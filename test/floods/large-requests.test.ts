import assert from 'node:assert/strict';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { after, before, test } from 'node:test';
import { create, toBinary } from '@bufbuild/protobuf';
import { receivePack } from '#client/index';
import { connectGrpc, type GrpcChannel } from '#rpc/common/grpc/grpc-channel';
import type { MethodName } from '#rpc/common/grpc/grpc-method';
import { all } from '#testkit/clients/in-process-rpc';
import { gitOutput, initRepository } from '#testkit/repositories/init-repository';
import { pushBody, ZERO_OID } from '#testkit/repositories/push';
import { seededRandom } from '#testkit/repositories/random-history';
import { GetBlobsRequestSchema } from '#wire/gen/blob_pb';
import { FindCommitRequestSchema, ListCommitsByOidRequestSchema } from '#wire/gen/commit_pb';
import {
  DeleteRefsRequestSchema,
  ListRefsRequestSchema,
  UpdateReferencesRequestSchema,
} from '#wire/gen/ref_pb';
import { methodInfo } from '#wire/method-info';
import { servedByGitaly } from '#wire/methods';
import { connectTo, mib, REPOSITORY, report, Victim } from './victim.ts';

const MAX_GROWTH_BYTES = 320 * 1024 ** 2;
const LARGEST_MESSAGE_BYTES = 4_194_304;
const MANY = 100_000;
/** git takes a second for this many changes of references. */
const CHANGES = 2000;
const SEED = 6;
const FIND_COMMIT: MethodName = { path: '/gitaly.CommitService/FindCommit', kind: 'unary' };

let victim: Victim;
let channel: GrpcChannel;
before(async () => {
  victim = await Victim.start();
  channel = connectGrpc(await dial());
});
after(async () => {
  channel.destroy();
  await victim[Symbol.asyncDispose]();
});

async function dial() {
  const socket = await connectTo(victim.gitaly.address);
  return socket.pause();
}

async function codeOf(call: AsyncIterable<unknown>): Promise<string> {
  try {
    await all(call);
    return 'OK';
  } catch (error) {
    return error instanceof Error && 'code' in error ? `${error.code}: ${error.message}` : String(error);
  }
}

const request = toBinary(
  FindCommitRequestSchema,
  create(FindCommitRequestSchema, { repository: REPOSITORY, revision: Buffer.from('main') }),
);

for (const { bytes, expected } of [
  { bytes: 20 * 1024, expected: /^OK$/ },
  { bytes: 60 * 1024, expected: /^OK$/ },
  { bytes: 130 * 1024, expected: /^OK$/ },
  { bytes: 200 * 1024, expected: /^(RESOURCE_EXHAUSTED|INTERNAL|UNAVAILABLE|CANCELLED)/ },
  { bytes: 900 * 1024, expected: /^(RESOURCE_EXHAUSTED|INTERNAL|UNAVAILABLE|CANCELLED)/ },
]) {
  test(`metadata of ${bytes / 1024} KiB gets ${expected.source}, and harms nobody`, async (context) => {
    const own = connectGrpc(await dial());
    let code = '';

    const damage = await victim.flood(async () => {
      const metadata = Object.fromEntries(
        Array.from({ length: bytes / 2048 }, (_, index) => [`x-${index}`, 'v'.repeat(2000)]),
      );
      for (let times = 0; times < 20; times++)
        code = await codeOf(own.invokeRaw(FIND_COMMIT, [request], { metadata }));
    });

    own.destroy();
    report(context, `${bytes / 1024} KiB of metadata: ${code}`, damage);
    assert.match(code, expected);
    assert.ok(damage.grownBytes < MAX_GROWTH_BYTES, `${mib(damage.grownBytes)} MiB`);
  });
}

const field = (number: number, wireType: number): Buffer => {
  const tag = number * 8 + wireType;
  return tag < 128 ? Buffer.of(tag) : Buffer.of((tag % 128) + 128, Math.floor(tag / 128));
};
const times = (count: number, piece: Buffer): Buffer => Buffer.alloc(count * piece.length, piece);

const MESSAGES: readonly { readonly name: string; readonly bytes: Buffer; readonly expected: RegExp }[] = [
  {
    name: 'one byte above the limit',
    bytes: Buffer.alloc(LARGEST_MESSAGE_BYTES + 1),
    expected: /^RESOURCE_EXHAUSTED/,
  },
  {
    name: 'fields that nobody knows',
    bytes: times(1_000_000, Buffer.concat([field(99, 0), Buffer.of(1)])),
    expected: /^INVALID_ARGUMENT: repository not set/,
  },
  {
    name: 'groups in groups',
    bytes: times(LARGEST_MESSAGE_BYTES, field(15, 3)),
    expected: /^INTERNAL: grpc: error unmarshalling/,
  },
  {
    name: 'the same field again and again',
    bytes: times(1_000_000, Buffer.concat([field(1, 2), Buffer.of(2), field(3, 2), Buffer.of(0)])),
    expected: /^RESOURCE_EXHAUSTED: grpc: received message with more than 131072 elements/,
  },
  {
    name: 'a length that leads far out',
    bytes: Buffer.concat([field(1, 2), Buffer.from([0xff, 0xff, 0xff, 0xff, 0x07])]),
    expected: /^INTERNAL: grpc: error unmarshalling/,
  },
];

for (const { name, bytes, expected } of MESSAGES) {
  test(`a message of ${name} gets its response and harms no other client`, async (context) => {
    let code = '';

    const damage = await victim.flood(async () => {
      for (let number = 0; number < 5; number++) code = await codeOf(channel.invokeRaw(FIND_COMMIT, [bytes]));
    });

    report(context, `${name}: ${code}`, damage);
    assert.match(code, expected);
    assert.ok(damage.grownBytes < MAX_GROWTH_BYTES, `${mib(damage.grownBytes)} MiB`);
  });
}

test('random and nearly valid messages get a status, and the server keeps running', async (context) => {
  const random = seededRandom(SEED);
  const byte = (): number => Math.floor(random() * 256);
  const methods = servedByGitaly.flatMap((service) => service.methods.map(methodInfo));
  // A separate repository, because some methods remove repositories.
  const target = { storageName: 'default', relativePath: 'random.git' };
  const repository = toBinary(
    FindCommitRequestSchema,
    create(FindCommitRequestSchema, { repository: target }),
  );
  initRepository(join(victim.gitaly.directory, 'default', target.relativePath), { commits: 1 });

  const damage = await victim.flood(async () => {
    for (const method of methods) {
      const garbage = Buffer.from(Array.from({ length: 1 + Math.floor(random() * 100) }, byte));
      // The target is usually in field 1, so some of these pass the first check.
      const halfRight = Buffer.concat([
        repository,
        field(2 + Math.floor(random() * 10), 2),
        Buffer.of(3, byte(), byte(), byte()),
      ]);
      for (const bytes of [garbage, halfRight, Buffer.alloc(0)]) {
        const call = channel.invokeRaw({ path: method.path, kind: method.kind }, [bytes], {
          timeoutMs: 10_000,
        });
        assert.doesNotMatch(await codeOf(call), /^(UNAVAILABLE|DEADLINE_EXCEEDED|undefined)/, method.path);
      }
    }
  });

  report(context, `${methods.length} methods`, damage);
});

const OIDS = Array.from({ length: MANY }, (_, index) => index.toString(16).padStart(40, '0'));
const REFS = OIDS.map((_, index) => Buffer.from(`refs/heads/branch-${index}`));

const LONG_LISTS: readonly {
  readonly name: string;
  readonly method: MethodName;
  readonly messages: () => Uint8Array[];
  readonly expected: RegExp;
}[] = [
  {
    name: 'references to update',
    method: { path: '/gitaly.RefService/UpdateReferences', kind: 'client_stream' },
    messages: () => {
      const updates = REFS.slice(0, CHANGES).map((reference) => ({
        reference,
        oldObjectId: Buffer.from(ZERO_OID),
        newObjectId: Buffer.from(victim.commit),
      }));
      return [
        toBinary(
          UpdateReferencesRequestSchema,
          create(UpdateReferencesRequestSchema, { repository: REPOSITORY, updates }),
        ),
      ];
    },
    expected: /^OK$/,
  },
  {
    name: 'references to delete',
    method: { path: '/gitaly.RefService/DeleteRefs', kind: 'unary' },
    messages: () => [
      toBinary(
        DeleteRefsRequestSchema,
        create(DeleteRefsRequestSchema, { repository: REPOSITORY, refs: REFS.slice(0, CHANGES) }),
      ),
    ],
    expected: /^OK$/,
  },
  {
    name: 'patterns of references',
    method: { path: '/gitaly.RefService/ListRefs', kind: 'server_stream' },
    messages: () => [
      toBinary(
        ListRefsRequestSchema,
        create(ListRefsRequestSchema, { repository: REPOSITORY, patterns: REFS }),
      ),
    ],
    // git receives them as arguments, as in Gitaly, and the system limits their size.
    expected: /^(OK|INTERNAL: fork\/exec .*: argument list too long)$/,
  },
  {
    name: 'ids of commits',
    method: { path: '/gitaly.CommitService/ListCommitsByOid', kind: 'server_stream' },
    messages: () => [
      toBinary(
        ListCommitsByOidRequestSchema,
        create(ListCommitsByOidRequestSchema, { repository: REPOSITORY, oid: OIDS.slice(0, MANY / 5) }),
      ),
    ],
    expected: /^OK$/,
  },
  {
    name: 'paths of blobs',
    method: { path: '/gitaly.BlobService/GetBlobs', kind: 'server_stream' },
    messages: () => {
      const revisionPaths = REFS.map((path) => ({ revision: 'main', path }));
      return [
        toBinary(
          GetBlobsRequestSchema,
          create(GetBlobsRequestSchema, { repository: REPOSITORY, revisionPaths, limit: -1n }),
        ),
      ];
    },
    expected: /^OK$/,
  },
  {
    name: 'paths of blobs that are all empty',
    method: { path: '/gitaly.BlobService/GetBlobs', kind: 'server_stream' },
    messages: () => [
      Buffer.concat([
        toBinary(GetBlobsRequestSchema, create(GetBlobsRequestSchema, { repository: REPOSITORY })),
        times(2_000_000, Buffer.concat([field(2, 2), Buffer.of(0)])),
      ]),
    ],
    expected: /^RESOURCE_EXHAUSTED: grpc: received message with more than 131072 elements/,
  },
];

for (const { name, method, messages, expected } of LONG_LISTS) {
  test(`a request with a very long list of ${name} harms no other client`, async (context) => {
    let code = '';

    const damage = await victim.flood(async () => {
      code = await codeOf(channel.invokeRaw(method, messages(), { timeoutMs: 30_000 }));
    });

    report(context, `${name}: ${code.slice(0, 200)}`, damage);
    assert.match(code, expected);
    assert.ok(damage.grownBytes < MAX_GROWTH_BYTES, `${mib(damage.grownBytes)} MiB`);
  });
}

for (const { name, pushOptions } of [
  { name: 'many push options', pushOptions: Array.from({ length: 50_000 }, (_, index) => `option-${index}`) },
  { name: 'long push options', pushOptions: Array.from({ length: 200 }, () => 'x'.repeat(65_000)) },
]) {
  test(`a push with ${name} ends, and harms no other client`, async (context) => {
    const connection = await victim.gitaly.connect();
    let outcome = '';

    const damage = await victim.flood(async () => {
      const stdin = new PassThrough();
      const [stdout, stderr] = [new PassThrough(), new PassThrough()];
      const output: Buffer[] = [];
      for (const stream of [stdout, stderr]) stream.on('data', (chunk: Buffer) => output.push(chunk));
      const repository = { ...REPOSITORY, glRepository: 'project-1' };
      stdin.end(
        pushBody([`${ZERO_OID} ${victim.commit} refs/heads/${name.replace(/ .*/, '')}`], { pushOptions }),
      );
      const config = ['receive.advertisePushOptions=true'];
      const push = { repository, glId: 'user-1', glRepository: 'project-1', gitConfigOptions: config };
      const result = await receivePack(connection, { stdin, stdout, stderr }, push, {
        timeoutMs: 30_000,
      }).then(
        ({ exitCode }) => `exit code ${exitCode}`,
        (error: unknown) => String(error),
      );
      outcome = `${result} ${Buffer.concat(output).toString().slice(-200)}`;
    });

    report(context, `${name}: ${JSON.stringify(outcome)}`, damage);
    assert.ok(damage.grownBytes < MAX_GROWTH_BYTES, `${mib(damage.grownBytes)} MiB`);
    assert.equal(
      gitOutput(join(victim.gitaly.directory, 'default', REPOSITORY.relativePath), ['fsck', '--strict']),
      '',
    );
    await connection.close();
  });
}
