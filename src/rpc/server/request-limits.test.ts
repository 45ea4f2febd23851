import assert from 'node:assert/strict';
import { type ClientHttp2Stream, connect as connectHttp2 } from 'node:http2';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { create, toBinary } from '@bufbuild/protobuf';
import { loopTurn } from '#base/async/loop-turns';
import { encodeFrame } from '#rpc/common/grpc/grpc-frame';
import { listen } from '#testkit/clients/in-process-rpc';
import { CommitService, FindCommitRequestSchema, ListCommitsByOidRequestSchema } from '#wire/gen/commit_pb';
import {
  MAX_HELD_BYTES,
  MAX_HELD_BYTES_PER_CONNECTION,
  MAX_REQUEST_ELEMENTS,
  MAX_WORK_BYTES,
} from './connection/connection-limits.ts';
import { serve } from './handler.ts';
import { ConnectionRequestLimits, RequestLimits } from './request-limits.ts';

const MEBIBYTE = 1 << 20;

interface Started {
  /** `grpc-status`, when it has come. */
  readonly status: Promise<string>;
  readonly stream: ClientHttp2Stream;
}

function start(session: ReturnType<typeof connectHttp2>, method: string, ...body: Uint8Array[]): Started {
  const stream = session.request({
    ':method': 'POST',
    ':path': `/gitaly.CommitService/${method}`,
    'content-type': 'application/grpc',
    'grpc-encoding': 'gzip',
  });
  const { promise, resolve } = Promise.withResolvers<string>();
  for (const event of ['response', 'trailers'])
    stream.on(event, (headers) => headers['grpc-status'] && resolve(headers['grpc-status']));
  stream
    .on('error', () => {})
    .on('close', () => resolve('none'))
    .resume();
  for (const chunk of body) stream.write(chunk);
  return { stream, status: promise };
}

test('a request with too many elements is refused, the largest list of ids is not', async () => {
  const counts: number[] = [];
  await using server = await listen({
    services: [
      serve(CommitService, {
        async *listCommitsByOid({ oid }) {
          counts.push(oid.length);
          yield {};
        },
      }),
    ],
  });
  const session = connectHttp2(`http://127.0.0.1:${server.port}`);
  const ask = (count: number, of: string): Promise<string> => {
    const oid = Array.from({ length: count }, () => of);
    const message = toBinary(ListCommitsByOidRequestSchema, create(ListCommitsByOidRequestSchema, { oid }));
    const { stream, status } = start(session, 'ListCommitsByOid', ...encodeFrame([message]));
    stream.end();
    return status;
  };

  assert.equal(await ask(99_000, 'a'.repeat(40)), '0');
  assert.equal(await ask(MAX_REQUEST_ELEMENTS, ''), '0');
  assert.equal(await ask(MAX_REQUEST_ELEMENTS + 1, ''), '8');

  assert.deepEqual(counts, [99_000, MAX_REQUEST_ELEMENTS]);
  session.destroy();
});

// Symptom: a client that began many messages and finished none could take all memory.
test('a connection that begins messages without end is refused more, and others are not', async () => {
  await using server = await listen({ services: [serve(CommitService, { findCommit: () => ({}) })] });
  const session = connectHttp2(`http://127.0.0.1:${server.port}`, { maxSessionMemory: 1000 });
  const promised = Buffer.alloc(5);
  promised.writeUInt32BE(4 * MEBIBYTE, 1);
  const tooMany = MAX_HELD_BYTES_PER_CONNECTION / MEBIBYTE;

  const begun = Array.from({ length: tooMany }, () =>
    start(session, 'FindCommit', promised, Buffer.alloc(3 * MEBIBYTE)),
  );
  const refused = await Promise.race(begun.map(({ status }) => status));

  assert.equal(refused, '8');
  const other = connectHttp2(`http://127.0.0.1:${server.port}`);
  const message = toBinary(FindCommitRequestSchema, create(FindCommitRequestSchema, {}));
  const { stream, status } = start(other, 'FindCommit', ...encodeFrame([message]));
  stream.end();
  assert.equal(await status, '0');
  session.destroy();
  other.destroy();
});

test('large requests wait for memory, and what waits is counted and given back', async () => {
  const server = new RequestLimits();
  const [one, other] = [new ConnectionRequestLimits(server), new ConnectionRequestLimits(server)];
  const { signal } = new AbortController();
  const payload = Buffer.alloc(MAX_WORK_BYTES / 2);
  const none = (): number => 0;

  const first = await one.admit(payload, none, signal);
  const second = await one.admit(payload, none, signal);
  const waiting = Array.from({ length: 3 }, () => one.admit(payload, none, signal));
  const others = other.admit(payload, none, signal);
  await loopTurn(); // the turns of all four come before
  assert.equal(server.heldBytes, 4 * payload.length);
  first();
  const served = await Promise.race([others.then(() => 'other'), waiting[0]?.then(() => 'first')]);
  second();
  await others;

  assert.equal(served, 'first');
  assert.throws(() => one.hold(MAX_HELD_BYTES_PER_CONNECTION), { code: 'RESOURCE_EXHAUSTED' });
});

test('what waits is limited on each connection and on all together', () => {
  const server = new RequestLimits();
  const [one, other, third] = Array.from({ length: 3 }, () => new ConnectionRequestLimits(server));
  assert.ok(one !== undefined && other !== undefined && third !== undefined);
  const tooMuch = { code: 'RESOURCE_EXHAUSTED', message: 'grpc: too many bytes of requests are waiting' };

  one.hold(MAX_HELD_BYTES_PER_CONNECTION);
  assert.throws(() => one.hold(1), tooMuch);
  other.hold(MAX_HELD_BYTES_PER_CONNECTION);
  const left = MAX_HELD_BYTES - 2 * MAX_HELD_BYTES_PER_CONNECTION;
  third.hold(left);
  assert.throws(() => third.hold(1), tooMuch);
  assert.equal(server.heldBytes, MAX_HELD_BYTES);

  for (const limits of [one, other]) limits.hold(-MAX_HELD_BYTES_PER_CONNECTION);
  third.hold(-left);
  assert.equal(server.heldBytes, 0);
  one.hold(MAX_HELD_BYTES_PER_CONNECTION);
});

test('from 16 KiB on a message is large', () => {
  const limits = new ConnectionRequestLimits(new RequestLimits());

  assert.deepEqual(
    [limits.isLarge(Buffer.alloc(16_383)), limits.isLarge(Buffer.alloc(16_384))],
    [false, true],
  );
});

test('two messages are decompressed at once', async () => {
  const limits = new ConnectionRequestLimits(new RequestLimits());
  const [first] = await Promise.all([limits.decompressionTurn(), limits.decompressionTurn()]);
  let isTurn = false;
  const third = limits.decompressionTurn().then(() => {
    isTurn = true;
  });

  await loopTurn();
  assert.equal(isTurn, false);
  first();

  await third;
});

test('a message takes its bytes and 128 for each element, from a later turn to its end', async () => {
  const server = new RequestLimits();
  const limits = new ConnectionRequestLimits(server);
  const { signal } = new AbortController();
  const payload = Buffer.alloc(20_000);
  let asked: number | undefined;
  const count = (limit: number): number => {
    asked = limit;
    return 1000;
  };

  const admitted = limits.admit(payload, count, signal);
  assert.deepEqual([server.heldBytes, asked], [20_000, undefined]);
  const release = await admitted;
  assert.deepEqual([server.heldBytes, asked, server.work.inUse], [0, MAX_REQUEST_ELEMENTS, 20_000 + 128_000]);
  release();

  assert.equal(server.work.inUse, 0);
});

test('a message that is refused or whose call ends holds nothing', async () => {
  const server = new RequestLimits();
  const limits = new ConnectionRequestLimits(server);
  const payload = Buffer.alloc(20_000);
  const left = new AbortController();
  const { signal } = new AbortController();

  await assert.rejects(
    limits.admit(payload, () => MAX_REQUEST_ELEMENTS + 1, signal),
    { code: 'RESOURCE_EXHAUSTED', message: 'grpc: received message with more than 131072 elements' },
  );
  const gone = limits.admit(payload, () => assert.fail('is not counted'), left.signal);
  left.abort(new Error('left'));
  await assert.rejects(gone, { message: 'left' });
  const release = await limits.admit(Buffer.alloc(MAX_WORK_BYTES), () => 0, signal);
  const other = new AbortController();
  const waiting = limits.admit(payload, () => 0, other.signal);
  await loopTurn();
  other.abort(new Error('left, too'));
  await assert.rejects(waiting, { message: 'left, too' });

  assert.deepEqual([server.heldBytes, server.work.waiting], [0, 0]);
  release();
  assert.equal(server.work.inUse, 0);
});

test('compressed messages are decompressed outside of the event loop', async () => {
  await using server = await listen({ services: [serve(CommitService, { findCommit: () => ({}) })] });
  const session = connectHttp2(`http://127.0.0.1:${server.port}`);
  const request = create(FindCommitRequestSchema, { revision: Buffer.alloc(4 * MEBIBYTE - 100) });
  const packed = Buffer.concat(encodeFrame([gzipSync(toBinary(FindCommitRequestSchema, request))]));
  packed[0] = 1;

  const statuses = await Promise.all(
    Array.from({ length: 30 }, () => {
      const { stream, status } = start(session, 'FindCommit', packed);
      stream.end();
      return status;
    }),
  );

  assert.deepEqual(new Set(statuses), new Set(['0']));
  session.destroy();
});
