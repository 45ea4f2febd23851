import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { connectTo, isCut, mib, pour, repeat, report, Victim } from './victim.ts';

const MAX_GROWTH_BYTES = 96 * 1024 ** 2;
const CONNECTIONS = 4;

let victim: Victim;
before(async () => {
  victim = await Victim.start();
});
after(() => victim[Symbol.asyncDispose]());

const GET = Buffer.from('GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n');

interface Flood {
  readonly name: string;
  readonly isCut?: true;
  /** True for a client that reads no responses. */
  readonly deaf?: boolean;
  readonly start?: Buffer;
  readonly times: number;
  frame(index: number): Buffer;
}

const FLOODS: readonly Flood[] = [
  { name: 'requests', times: 3000, frame: () => GET },
  { name: 'requests whose answers nobody reads', deaf: true, times: 100_000, frame: () => GET },
  {
    name: 'headers without end',
    isCut: true,
    start: Buffer.from('GET /metrics HTTP/1.1\r\n'),
    times: 50_000,
    frame: (index) => Buffer.from(`x-${index}: ${'v'.repeat(100)}\r\n`),
  },
  {
    name: 'a path without end',
    isCut: true,
    start: Buffer.from('GET /'),
    times: 1000,
    frame: () => Buffer.alloc(10_000, 0x61),
  },
  {
    name: 'a body that nobody asked for',
    start: Buffer.from('POST /metrics HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n'),
    times: 2000,
    frame: () => Buffer.concat([Buffer.from('2710\r\n'), Buffer.alloc(10_000), Buffer.from('\r\n')]),
  },
];

for (const flood of FLOODS) {
  test(`a flood of ${flood.name} on the monitoring listener harms no other client`, async (context) => {
    let cuts = 0;

    const damage = await victim.flood(async () => {
      const attack = async (): Promise<void> => {
        const socket = await connectTo(victim.gitaly.monitoring ?? '');
        if (flood.deaf) socket.pause();
        if (flood.start) socket.write(flood.start);
        await pour(socket, repeat(flood.times, flood.frame), 1000);
        if (await isCut(socket, flood.isCut ? 5000 : 2000)) cuts += 1;
        socket.destroy();
      };
      await Promise.all(Array.from({ length: CONNECTIONS }, attack));
    });

    report(context, flood.name, damage);
    assert.ok(damage.grownBytes < MAX_GROWTH_BYTES, `${mib(damage.grownBytes)} MiB`);
    if (flood.isCut) assert.equal(cuts, CONNECTIONS);
  });
}
