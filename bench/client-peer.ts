/**
 * Programs that client-calls.ts starts: `serve SOCKET`, and the clients `ours SOCKET`, `bare
 * SOCKET`, `rails SOCKET` and `grpc-js SOCKET`. The clients do the work that messages request and
 * respond with its time and their CPU time.
 */
import { randomUUID } from 'node:crypto';
import { createServer } from 'node:net';
import { create, type DescMessage, fromBinary, type MessageShape, toBinary } from '@bufbuild/protobuf';
import grpc from '@grpc/grpc-js';
import { collectAfterBulkBytes } from '#base/memory/bulk-memory';
import { dial, tokenCredentials } from '#client/index';
import { GitalyClient } from '#client/rails/index';
import { GrpcServer } from '#rpc/server/grpc-server';
import { serve } from '#rpc/server/handler';
import { BlobService, GetBlobRequestSchema, GetBlobResponseSchema } from '#wire/gen/blob_pb';
import { CommitService, FindCommitRequestSchema, FindCommitResponseSchema } from '#wire/gen/commit_pb';

/**
 * Work for a client: a number of unary calls, `width` at a time, or one stream of a number of
 * bytes.
 */
export type Work =
  | { readonly kind: 'unary'; readonly calls: number; readonly width: number }
  | { readonly kind: 'stream'; readonly bytes: number };

export interface Spent {
  readonly seconds: number;
  /** User and system time of the client's process, all threads. */
  readonly cpuSeconds: number;
}

/** A client implementation. */
interface Caller {
  findCommit(): Promise<string | undefined>;
  /** Returns the number of received bytes. */
  getBlob(bytes: number): Promise<number>;
}

const COMMIT_ID = '1e292f8fedd741b75372e19097c76d327140c312';
const ANSWER = {
  commit: {
    id: COMMIT_ID,
    subject: Buffer.from('add a file'),
    body: Buffer.from('add a file\n\nwith a body\n'),
    author: {
      name: Buffer.from('Scrooge McDuck'),
      email: Buffer.from('scrooge@mcduck.com'),
      timezone: Buffer.from('+0000'),
    },
    parentIds: ['c1c67abbaf91f624347bb3ae96eabe3a1b742478'],
  },
};
const METADATA = {
  'x-gitlab-client-name': 'gitlab-web',
  'x-gitlab-correlation-id': '01HXYZ0123456789ABCDEFGHJK',
  'gitaly-feature-some-flag': 'true',
  deadline_type: 'regular',
};
const REQUEST = {
  repository: { storageName: 'default', relativePath: 'a.git' },
  revision: Buffer.from('main'),
};
const TIMEOUT_MS = 60_000;
/** Gitaly's size of a piece of a blob. */
const PIECE = Buffer.alloc(128 * 1024, 'x');

const [role, socket = ''] = process.argv.slice(2);
process.on('disconnect', () => process.exit());
if (role === 'serve') serveOn(socket);
else await work(await callerFor(role));

function serveOn(path: string): void {
  const findCommit = serve(CommitService, { findCommit: () => ANSWER });
  const getBlob = serve(BlobService, {
    async *getBlob({ limit }) {
      for (let left = Number(limit); left > 0; left -= PIECE.length) yield { data: PIECE.subarray(0, left) };
    },
  });
  collectAfterBulkBytes(); // as our server programs do
  const server = new GrpcServer({ services: [findCommit, getBlob] });
  const peer = { transport: 'unix', address: '', backchannelId: undefined } as const;
  createServer((connection) => server.serveConnection(connection, peer)).listen(path, () =>
    process.send?.('ready'),
  );
}

async function callerFor(name: string | undefined): Promise<Caller> {
  if (name === 'rails') return railsOn(socket);
  if (name === 'bare') return await bareOn(socket);
  return name === 'ours' ? await oursOn(socket) : grpcJsOn(socket);
}

/** A call of a web request in production, which has a user, flags and a call site. */
function railsOn(path: string): Caller {
  const client = new GitalyClient({
    storages: { default: { gitaly_address: `unix:${path}` } },
    isProduction: true,
    featureFlags: () => ({ gitaly_some_flag: true }),
  });
  const findCommit = () => client.call('default', (gitaly) => gitaly.commit.findCommit(REQUEST));
  return {
    findCommit: async () => (await client.run(findCommit, { context: { username: 'jane' } })).commit?.id,
    getBlob: () => Promise.reject(new Error('not measured')),
  };
}

/** A call with the headers of `railsOn`, which its caller sets. */
async function bareOn(path: string): Promise<Caller> {
  const connection = await dial(`unix:${path}`, {
    clientName: 'gitlab-web',
    credentials: tokenCredentials(''),
  });
  const options = () => ({
    timeoutMs: TIMEOUT_MS,
    metadata: {
      'gitaly-feature-some-flag': 'true',
      'gitaly-session-id': randomUUID(),
      username: 'jane',
    },
  });
  return {
    findCommit: async () => (await connection.commit.findCommit(REQUEST, options())).commit?.id,
    getBlob: () => Promise.reject(new Error('not measured')),
  };
}

async function oursOn(path: string): Promise<Caller> {
  const connection = await dial(`unix:${path}`, { defaultTimeoutMs: TIMEOUT_MS });
  const options = { metadata: METADATA };
  return {
    findCommit: async () => (await connection.commit.findCommit(REQUEST, options)).commit?.id,
    getBlob: async (bytes) => {
      let received = 0;
      for await (const { data } of connection.blob.getBlob({ limit: BigInt(bytes) }, options))
        received += data.byteLength;
      return received;
    },
  };
}

function grpcJsOn(path: string): Caller {
  const client = new grpc.Client(`unix:${path}`, grpc.credentials.createInsecure());
  const encode =
    <Desc extends DescMessage>(schema: Desc) =>
    (message: MessageShape<Desc>) =>
      Buffer.from(toBinary(schema, message));
  const decode =
    <Desc extends DescMessage>(schema: Desc) =>
    (bytes: Buffer) =>
      fromBinary(schema, bytes);
  const options = () => ({ deadline: Date.now() + TIMEOUT_MS });
  const metadata = () => {
    const values = new grpc.Metadata();
    for (const [key, value] of Object.entries(METADATA)) values.set(key, value);
    return values;
  };
  return {
    findCommit: () =>
      new Promise((resolve, reject) => {
        client.makeUnaryRequest(
          '/gitaly.CommitService/FindCommit',
          encode(FindCommitRequestSchema),
          decode(FindCommitResponseSchema),
          create(FindCommitRequestSchema, REQUEST),
          metadata(),
          options(),
          (error, answer) => (error === null ? resolve(answer?.commit?.id) : reject(error)),
        );
      }),
    getBlob: async (bytes) => {
      const call = client.makeServerStreamRequest(
        '/gitaly.BlobService/GetBlob',
        encode(GetBlobRequestSchema),
        decode(GetBlobResponseSchema),
        create(GetBlobRequestSchema, { limit: BigInt(bytes) }),
        metadata(),
        options(),
      );
      let received = 0;
      for await (const { data } of call) received += data.byteLength;
      return received;
    },
  };
}

async function work(caller: Caller): Promise<void> {
  process.on('message', async (asked: Work) => process.send?.(await measure(caller, asked)));
  process.send?.('ready');
}

async function measure(caller: Caller, asked: Work): Promise<Spent> {
  const [startedAt, before] = [performance.now(), process.cpuUsage()];
  if (asked.kind === 'unary') await callOften(caller, asked);
  else if ((await caller.getBlob(asked.bytes)) !== asked.bytes) throw new Error('bytes are missing');
  const { user, system } = process.cpuUsage(before);
  return { seconds: (performance.now() - startedAt) / 1000, cpuSeconds: (user + system) / 1e6 };
}

async function callOften(caller: Caller, { calls, width }: { calls: number; width: number }): Promise<void> {
  let left = calls;
  const worker = async () => {
    while (left-- > 0)
      if ((await caller.findCommit()) !== COMMIT_ID) throw new Error('a call gave no answer');
  };
  await Promise.all(Array.from({ length: width }, worker));
}
