import { after, before, test } from 'node:test';
import { create, toBinary } from '@bufbuild/protobuf';
import { encodeFrame } from '#rpc/common/grpc/grpc-frame';
import { FindCommitRequestSchema } from '#wire/gen/commit_pb';
import { assertHarmless, type Flood } from './connection-flood.ts';
import {
  callHeaders,
  END_HEADERS,
  END_STREAM,
  FRAME,
  frame,
  preface,
  settingsPayload,
  uint32,
} from './http2-frames.ts';
import { REPOSITORY, Victim } from './victim.ts';

const FIND_COMMIT = '/gitaly.CommitService/FindCommit';
const request = create(FindCommitRequestSchema, { repository: REPOSITORY, revision: Buffer.from('main') });
const REQUEST = Buffer.concat(encodeFrame([toBinary(FindCommitRequestSchema, request)]));
const CALL = callHeaders(FIND_COMMIT);
const LIMITS = {
  maxGrowthBytes: 256 * 1024 ** 2,
  stuckAfterMs: 2000,
  cutWithinMs: 5000,
  readsAtEnd: true,
} as const;

let victim: Victim;
before(async () => {
  victim = await Victim.start();
});
after(() => victim[Symbol.asyncDispose]());

interface Http2Flood extends Flood {
  /** Returns frames before those that are repeated. */
  start?(): Buffer;
}

const stream = (index: number): number => 2 * index + 1;

const FLOODS: readonly Http2Flood[] = [
  {
    name: 'streams that are opened and reset at once',
    isCut: true,
    times: 50_000,
    frame: (index) =>
      Buffer.concat([
        frame(FRAME.headers, END_HEADERS, stream(index), CALL),
        frame(FRAME.data, END_STREAM, stream(index), REQUEST),
        frame(FRAME.resetStream, 0, stream(index), uint32(8)),
      ]),
  },
  { name: 'pings', isCut: true, times: 100_000, frame: () => frame(FRAME.ping, 0, 0, Buffer.alloc(8)) },
  {
    name: 'pings whose answers nobody reads',
    isCut: true,
    deaf: true,
    times: 400_000,
    frame: () => frame(FRAME.ping, 0, 0, Buffer.alloc(8)),
  },
  {
    name: 'settings',
    times: 100_000,
    frame: (index) => frame(FRAME.settings, 0, 0, settingsPayload([[4, 65_535 + (index % 2)]])),
  },
  {
    name: 'settings whose answers nobody reads',
    deaf: true,
    times: 400_000,
    frame: (index) => frame(FRAME.settings, 0, 0, settingsPayload([[4, 65_535 + (index % 2)]])),
  },
  {
    name: 'settings with more entries than there are settings',
    times: 200,
    frame: () =>
      frame(FRAME.settings, 0, 0, settingsPayload(Array.from({ length: 2000 }, (_, id) => [1000 + id, 1]))),
  },
  {
    name: 'headers that go on without end',
    isCut: true,
    start: () => frame(FRAME.headers, 0, 1, CALL),
    times: 50_000,
    frame: (index) => frame(FRAME.continuation, 0, 1, callHeaders('/', { [`x-${index}`]: 'v'.repeat(1000) })),
  },
  {
    name: 'headers that go on without end in empty frames',
    isCut: true,
    start: () => frame(FRAME.headers, 0, 1, CALL),
    times: 100_000,
    frame: () => frame(FRAME.continuation, 0, 1),
  },
  {
    name: 'window updates up to the overflow',
    isCut: true,
    start: () => frame(FRAME.headers, END_HEADERS, 1, CALL),
    times: 5,
    frame: () => frame(FRAME.windowUpdate, 0, 0, uint32(0x7fff_ffff)),
  },
  { name: 'small window updates', times: 200_000, frame: () => frame(FRAME.windowUpdate, 0, 0, uint32(1)) },
  {
    name: 'empty data frames',
    isCut: true,
    start: () => frame(FRAME.headers, END_HEADERS, 1, CALL),
    times: 100_000,
    frame: () => frame(FRAME.data, 0, 1),
  },
  {
    name: 'priorities of streams that do not exist',
    times: 100_000,
    frame: (index) => frame(FRAME.priority, 0, stream(index), Buffer.concat([uint32(0), Buffer.of(15)])),
  },
  { name: 'frames of unknown types', times: 20_000, frame: () => frame(0xbb, 0, 0, Buffer.alloc(1000)) },
  { name: 'farewells', times: 20_000, frame: () => frame(FRAME.goAway, 0, 0, Buffer.alloc(8)) },
  {
    name: 'calls that never send their request',
    times: 20_000,
    frame: (index) => frame(FRAME.headers, END_HEADERS, stream(index), CALL),
  },
  {
    name: 'requests whose answers nobody reads',
    deaf: true,
    times: 20_000,
    frame: (index) =>
      Buffer.concat([
        frame(FRAME.headers, END_HEADERS, stream(index), CALL),
        frame(FRAME.data, END_STREAM, stream(index), REQUEST),
      ]),
  },
  {
    name: 'headers that say little and mean much',
    isCut: true,
    // One field of 4000 bytes is added to the table; each of the following bytes refers to all of
    // it.
    start: () => {
      const long = Buffer.concat([Buffer.of(0x40, 1, 0x78, 127, 0xa1, 0x1e), Buffer.alloc(4000, 0x61)]);
      return frame(FRAME.headers, END_HEADERS | END_STREAM, 1, Buffer.concat([CALL, long]));
    },
    times: 500,
    frame: (index) =>
      frame(
        FRAME.headers,
        END_HEADERS | END_STREAM,
        stream(index + 1),
        Buffer.concat([CALL, Buffer.alloc(15_000, 0xbe)]),
      ),
  },
];

for (const flood of FLOODS) {
  test(`a flood of ${flood.name} harms no other client`, async (context) => {
    const hello = Buffer.concat([preface(), flood.start?.() ?? Buffer.alloc(0)]);

    await assertHarmless(victim, flood, context, { hello, ...LIMITS });
  });
}
