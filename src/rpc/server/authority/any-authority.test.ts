import assert from 'node:assert/strict';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { type ClientHttp2Session, connect as connectHttp2, getPackedSettings } from 'node:http2';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { duplexPair } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { BACKCHANNEL_MAGIC } from '#rpc/common/connection-magic';
import { encodeFrame } from '#rpc/common/grpc/grpc-frame';
import { YamuxSession } from '#rpc/common/yamux/session';
import { closed } from '#testkit/faults/closed';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { CommitService, FindCommitRequestSchema, FindCommitResponseSchema } from '#wire/gen/commit_pb';
import { acceptReverse } from '../connection/accept-reverse.ts';
import { Backchannels } from '../connection/backchannels.ts';
import { demultiplex } from '../connection/demultiplexer.ts';
import { Listener } from '../connection/listener.ts';
import { GrpcServer } from '../grpc-server.ts';
import { serve } from '../handler.ts';

const PEER = { transport: 'internal', address: 'backchannel', backchannelId: undefined } as const;
const PATH = '/gitaly.CommitService/FindCommit';
/** Larger than a frame, so that it comes in several. */
const SUBJECT = Buffer.alloc(40_000, 'subject ');
/** Number of calls. HPACK's table drops entries meanwhile, so the authority is sent again. */
const CALLS = 200;

async function startServer() {
  const directory = makeScratchDirectory('authority');
  const services = [
    serve(CommitService, { findCommit: ({ revision }) => ({ commit: { subject: revision } }) }),
  ];
  const server = new GrpcServer({ services });
  const path = join(directory, 's');
  const backchannels = new Backchannels(() => ({ closed: new Promise(() => {}), destroy: () => {} }));
  const listener = await Listener.listen(
    { transport: 'unix', path },
    {
      onConnection: (connection, peer) =>
        void demultiplex(connection, peer, {
          backchannels,
          onGrpc: (duplex, from) => server.serveConnection(duplex, from),
        }),
    },
  );
  return {
    path,
    server,
    async [Symbol.asyncDispose]() {
      await server.shutdown({ graceMs: 0 });
      await listener.destroy();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

async function find(session: ClientHttp2Session, authority: string, id = ''): Promise<Buffer> {
  const stream = session.request({
    ':method': 'POST',
    ':path': PATH,
    ':authority': authority,
    'content-type': 'application/grpc',
    te: 'trailers',
    'x-gitlab-correlation-id': id,
  });
  const request = create(FindCommitRequestSchema, { revision: SUBJECT });
  stream.end(Buffer.concat(encodeFrame([toBinary(FindCommitRequestSchema, request)])));
  const body = await buffer(stream);
  return Buffer.from(fromBinary(FindCommitResponseSchema, body.subarray(5)).commit?.subject ?? []);
}

// grpc-go up to 1.48 sends the path of the socket, and node:http2 reset the request.
for (const authority of [
  'localhost',
  'unix:/var/run/gitaly.socket',
  '/var/run/gitaly.socket',
  '%2Fvar%2Frun%2Fgitaly.socket',
  'unix:///var/run/gitaly.socket',
]) {
  test(`a client of a Unix socket may name ${authority}`, async () => {
    await using server = await startServer();
    const session = connectHttp2('http://localhost', { createConnection: () => connect(server.path) });
    try {
      for (let call = 0; call < CALLS; call++)
        assert.ok((await find(session, authority, `${call} `.repeat(50))).equals(SUBJECT));
      const many = Array.from({ length: 20 }, () => find(session, authority));
      for (const subject of await Promise.all(many)) assert.ok(subject.equals(SUBJECT));
    } finally {
      session.destroy();
    }
  });
}

test('a client of a multiplexed connection may name a path', async () => {
  await using server = await startServer();
  const socket = connect(server.path);
  socket.write(BACKCHANNEL_MAGIC);
  const multiplexer = new YamuxSession(socket, { role: 'client' });
  const stream = await multiplexer.open();
  const session = connectHttp2('http://localhost', { createConnection: () => stream });

  for (let call = 0; call < 3; call++)
    assert.ok((await find(session, 'unix:/var/run/gitaly.socket')).equals(SUBJECT));

  session.destroy();
  socket.destroy();
});

test('a Gitaly that calls its client back may name the client’s end of a Unix socket', async () => {
  await using server = await startServer();
  const [stream, ours] = duplexPair();
  const accepting = acceptReverse(ours, (duplex) => server.server.serveConnection(duplex, PEER));
  const session = connectHttp2('http://localhost', { createConnection: () => stream });

  for (let call = 0; call < 3; call++) assert.ok((await find(session, '@')).equals(SUBJECT));

  session.destroy();
  await accepting;
});

test('a Gitaly that ends a stream before its first call harms nothing', async () => {
  const [stream, ours] = duplexPair();
  const accepting = acceptReverse(ours, () => assert.fail('there was no call'));
  stream.end(Buffer.from('PRI * HTTP/2.0'));
  await accepting;
});

test('a client that waits, pings and is idle before its first request is served', async () => {
  await using server = await startServer();
  const socket = connect(server.path);
  const received: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => received.push(chunk));
  const frameTypes = (): number[] => typesOf(Buffer.concat(received));

  socket.write('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
  socket.write(frame(4, 0, getPackedSettings({})));
  await until(socket, () => frameTypes().includes(4));
  socket.write(frame(4, 1));
  socket.write(frame(6, 0, Buffer.from('pingpong')));
  await until(socket, () => frameTypes().includes(6));
  assert.ok(Buffer.concat(received).includes(frame(6, 1, Buffer.from('pingpong'))), 'an answer to the ping');
  assert.equal(server.server.connections, 0, 'it is not passed on before its first request');
  // :method POST, :scheme http, :path, :authority as a literal, content-type, te
  const block = Buffer.concat([
    Buffer.from('8386', 'hex'),
    literal(4, PATH),
    literal(1, 'unix:/x'),
    literal(31, 'application/grpc'),
  ]);
  socket.write(frame(1, 4, block, 1));
  const request = toBinary(
    FindCommitRequestSchema,
    create(FindCommitRequestSchema, { revision: Buffer.from('abc') }),
  );
  socket.write(frame(0, 1, Buffer.concat(encodeFrame([request])), 1));

  await until(socket, () => Buffer.concat(received).includes('abc'));
  assert.ok(!frameTypes().includes(3) && !frameTypes().includes(7), 'no reset and no GOAWAY');
  socket.write(frame(4, 1)); // the settings of node:http2
  socket.write(frame(6, 0, Buffer.from('pingpong')));
  await until(socket, () => frameTypes().filter((type) => type === 6).length === 2);
  assert.ok(!frameTypes().includes(7), 'no GOAWAY');
  socket.destroy();
});

for (const [name, bytes] of [
  ['a frame that is too large', Buffer.from('ffffff000000000000', 'hex')],
  [
    'frames without end before a request',
    Buffer.concat(Array.from({ length: 6000 }, () => frame(8, 0, Buffer.of(0, 0, 0, 1)))),
  ],
  ['a request with nonsense in it', frame(1, 5, Buffer.from('41ff', 'hex'), 1)],
] as const) {
  test(`a client that sends ${name} is left to node:http2`, async () => {
    await using server = await startServer();
    const socket = connect(server.path);
    socket.resume();
    const disconnected = closed(socket);
    socket.write('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
    socket.write(frame(4, 0, getPackedSettings({})));
    socket.write(frame(4, 1));
    socket.write(bytes);

    await Promise.race([disconnected, delay(500)]); // some of them stay open

    socket.destroy();
    const session = connectHttp2('http://localhost', { createConnection: () => connect(server.path) });
    assert.ok((await find(session, 'localhost')).equals(SUBJECT));
    session.destroy();
  });
}

function frame(type: number, flags: number, payload: Uint8Array = Buffer.alloc(0), stream = 0): Buffer {
  const header = Buffer.alloc(9);
  header.writeUIntBE(payload.length, 0, 3);
  header.writeUInt8(type, 3);
  header.writeUInt8(flags, 4);
  header.writeUInt32BE(stream, 5);
  return Buffer.concat([header, payload]);
}

/** A header with a name of the static table, not indexed. */
function literal(index: number, value: string): Buffer {
  const name = index < 15 ? Buffer.of(index) : Buffer.of(15, index - 15);
  return Buffer.concat([name, Buffer.of(value.length), Buffer.from(value)]);
}

function typesOf(bytes: Buffer): number[] {
  const types: number[] = [];
  for (let at = 0; at + 9 <= bytes.length; at += 9 + bytes.readUIntBE(at, 3))
    types.push(bytes.readUInt8(at + 3));
  return types;
}

async function until(socket: Socket, holds: () => boolean): Promise<void> {
  while (!holds()) await once(socket, 'data');
}
