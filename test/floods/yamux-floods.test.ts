import { after, before, test } from 'node:test';
import { encodeHeader, FLAG, FRAME_TYPE } from '#rpc/common/yamux/frame';
import { assertHarmless, type Flood } from './connection-flood.ts';
import { preface } from './http2-frames.ts';
import { Victim } from './victim.ts';

const { data, windowUpdate, ping, goAway } = FRAME_TYPE;
const LIMITS = {
  maxGrowthBytes: 96 * 1024 ** 2,
  stuckAfterMs: 500,
  cutWithinMs: 16_000,
  readsAtEnd: false,
} as const;

let victim: Victim;
before(async () => {
  victim = await Victim.start();
});
after(() => victim[Symbol.asyncDispose]());

const frame = (
  type: number,
  flags: number,
  id: number,
  length: number,
  payload: Uint8Array = Buffer.alloc(0),
): Buffer => Buffer.concat([encodeHeader(type, flags, id, length), payload]);
/** Returns an odd id after that of the stream that carries gRPC. */
const id = (index: number): number => 2 * index + 3;

const FLOODS: readonly Flood[] = [
  { name: 'pings', times: 200_000, frame: (index) => frame(ping, FLAG.syn, 0, index) },
  {
    name: 'pings whose answers nobody reads',
    deaf: true,
    isCut: true,
    times: 2_000_000,
    frame: () => frame(ping, FLAG.syn, 0, 1),
  },
  {
    name: 'answers to pings that nobody sent',
    times: 200_000,
    frame: (index) => frame(ping, FLAG.ack, 0, index),
  },
  { name: 'window updates', times: 200_000, frame: () => frame(windowUpdate, 0, 1, 1) },
  {
    name: 'window updates up to the overflow',
    isCut: true,
    times: 3,
    frame: () => frame(windowUpdate, 0, 1, 0xffff_ffff),
  },
  {
    name: 'window updates of streams that do not exist',
    times: 200_000,
    frame: (index) => frame(windowUpdate, 0, id(index), 1),
  },
  {
    name: 'streams that nobody asked for',
    isCut: true,
    times: 100_000,
    frame: (index) => frame(windowUpdate, FLAG.syn, id(index), 0),
  },
  {
    name: 'streams that are opened and reset at once',
    isCut: true,
    times: 50_000,
    frame: (index) =>
      Buffer.concat([
        frame(windowUpdate, FLAG.syn, id(index), 0),
        frame(windowUpdate, FLAG.rst, id(index), 0),
      ]),
  },
  {
    name: 'a stream that is opened twice',
    isCut: true,
    times: 2,
    frame: () => frame(windowUpdate, FLAG.syn, 3, 0),
  },
  {
    name: 'data of streams that do not exist',
    times: 2000,
    frame: (index) => frame(data, 0, id(index), 10_000, Buffer.alloc(10_000)),
  },
  { name: 'data without content', times: 200_000, frame: () => frame(data, 0, 1, 0) },
  {
    name: 'a frame that is longer than the window',
    isCut: true,
    times: 1,
    frame: () => frame(data, 0, 1, 0xffff_ffff),
  },
  {
    name: 'a stream that is filled and never read',
    isCut: true,
    times: 1000,
    frame: (index) => frame(data, index === 0 ? FLAG.syn : 0, 3, 65_536, Buffer.alloc(65_536)),
  },
  { name: 'farewells', times: 200_000, frame: () => frame(goAway, 0, 0, 0) },
  { name: 'a wrong version', isCut: true, times: 1, frame: () => Buffer.from([1, ...Buffer.alloc(11)]) },
  { name: 'a wrong type', isCut: true, times: 1, frame: () => frame(4, 0, 0, 0) },
];

for (const flood of FLOODS) {
  test(`a multiplexed flood of ${flood.name} harms no other client`, async (context) => {
    const first = preface();
    const hello = Buffer.concat([Buffer.from('backchannel'), frame(data, FLAG.syn, 1, first.length, first)]);

    await assertHarmless(victim, flood, context, { hello, ...LIMITS });
  });
}
