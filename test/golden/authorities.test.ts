import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { type GitalyProcess, startGitalyProcess } from '#testkit/servers/start-gitaly-process';
import { END_HEADERS, END_STREAM, FRAME, frame, headerBlock, preface } from '../floods/http2-frames.ts';
import { connected } from '../floods/raw-connection.ts';

/** A request over TCP with the result of Gitaly 19.0 (grpc-go 1.80). */
interface RecordedAuthority {
  readonly name: string;
  /** `:authority` and `host`, with bytes as Latin-1. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly result: 'served' | 'reset' | 'http 400';
}

/**
 * nghttp2, which `node:http2` uses without settings for it, resets these requests. A request must
 * have a host, and a `host` header must be one.
 */
const RESET_BY_NODE = new Set([
  'missing',
  'empty',
  'host empty only',
  'host with slash',
  'host with space',
  'two hosts',
  'authority and two hosts',
]);
const LARGEST_FRAME_BYTES = 16_384;

let gitaly: GitalyProcess;
before(async () => {
  gitaly = await startGitalyProcess({ everyListener: true });
});
after(() => gitaly[Symbol.asyncDispose]());

const recorded = readFileSync(join(import.meta.dirname, 'authorities.jsonl'), 'utf8')
  .trimEnd()
  .split('\n')
  .map((line): RecordedAuthority => JSON.parse(line));

for (const { name, headers, result } of recorded) {
  test(`a request over TCP with the authority "${name}"`, async () => {
    const actual = await ask(gitaly.tcp ?? '', headers);

    assert.equal(actual, RESET_BY_NODE.has(name) ? 'reset' : result);
  });
}

/** Sends a health check on a new connection and returns how it ends; the connection goes on. */
async function ask(address: string, headers: RecordedAuthority['headers']): Promise<string> {
  const socket = await connected(address);
  const pseudo = [
    [':method', 'POST'],
    [':scheme', 'http'],
    [':path', '/grpc.health.v1.Health/Check'],
    ...headers.filter(([name]) => name.startsWith(':')),
  ] as const;
  const others = [
    ['content-type', 'application/grpc'],
    ['te', 'trailers'],
    ...headers.filter(([name]) => !name.startsWith(':')),
  ] as const;
  const block = Buffer.concat([...pseudo, ...others].map(([name, value]) => headerBlock({ [name]: value })));
  socket.write(
    Buffer.concat([preface(), ...headerFrames(block), frame(FRAME.data, END_STREAM, 1, NO_MESSAGE)]),
  );
  const received: Buffer[] = [];
  for (;;) {
    const [chunk]: Buffer[] = await once(socket, 'data');
    received.push(chunk ?? Buffer.alloc(0));
    const end = endOfFirstStream(Buffer.concat(received));
    if (end === undefined) continue;
    assert.ok(!socket.readableEnded, 'the connection was closed');
    socket.destroy();
    return end;
  }
}

const NO_MESSAGE = Buffer.alloc(5);

function headerFrames(block: Buffer): Buffer[] {
  const frames: Buffer[] = [];
  for (let at = 0; at < block.length; at += LARGEST_FRAME_BYTES) {
    const isLast = at + LARGEST_FRAME_BYTES >= block.length;
    const type = at === 0 ? FRAME.headers : FRAME.continuation;
    frames.push(frame(type, isLast ? END_HEADERS : 0, 1, block.subarray(at, at + LARGEST_FRAME_BYTES)));
  }
  return frames;
}

function endOfFirstStream(bytes: Buffer): string | undefined {
  let hasData = false;
  for (let at = 0; at + 9 <= bytes.length; at += 9 + bytes.readUIntBE(at, 3)) {
    const [type, flags, stream] = [bytes[at + 3], bytes[at + 4] ?? 0, bytes.readUInt32BE(at + 5)];
    assert.notEqual(type, FRAME.goAway, 'the connection was closed');
    if (stream !== 1) continue;
    if (type === FRAME.data) hasData = true;
    // A response without a message is a refusal.
    if (type === FRAME.headers && (flags & END_STREAM) !== 0) return hasData ? 'served' : 'http 400';
    if (type === FRAME.resetStream) return 'reset';
  }
  return undefined;
}
