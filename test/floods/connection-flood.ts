import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import type { TestContext } from 'node:test';
import { isCut, mib, pour, repeat, report, type Victim } from './victim.ts';

/** Time after which a connection that stays open is served. */
const SERVED_MS = 200;

/** Frames that a client sends on one connection. */
export interface Flood {
  readonly name: string;
  /** True if the server closes the connection; `undefined` if its library may choose. */
  readonly isCut?: true;
  /** True for a client that reads no responses. */
  readonly deaf?: boolean;
  readonly times: number;
  frame(index: number): Buffer;
}

export interface ConnectionFloodOptions {
  /** First bytes of the connection. */
  readonly hello: Buffer;
  /** Limit of a flood's memory, including normal variations of the heap. */
  readonly maxGrowthBytes: number;
  /** Time after which a server that accepts no bytes gets no more of them. */
  readonly stuckAfterMs: number;
  /** Time in which the server closes the connection of a flood with `isCut`. */
  readonly cutWithinMs: number;
  /** True if a deaf client reads once it has sent everything. */
  readonly readsAtEnd: boolean;
}

/** Sends a flood, and asserts that the server serves others and takes little memory. */
export async function assertHarmless(
  victim: Victim,
  flood: Flood,
  context: TestContext,
  { hello, maxGrowthBytes, stuckAfterMs, cutWithinMs, readsAtEnd }: ConnectionFloodOptions,
): Promise<void> {
  let socket: Socket | undefined;
  let sent = 0;
  let cut = false;

  const damage = await victim.flood(async () => {
    socket = await victim.connect();
    if (flood.deaf) socket.pause();
    socket.write(hello);
    sent = await pour(socket, repeat(flood.times, flood.frame), stuckAfterMs);
    if (readsAtEnd) socket.resume();
    cut = await isCut(socket, flood.isCut ? cutWithinMs : SERVED_MS);
  });

  report(context, flood.name, damage);
  context.diagnostic(`${sent} of ${flood.times} sent, ${cut ? 'cut' : 'served'}`);
  socket?.destroy();
  assert.ok(damage.grownBytes < maxGrowthBytes, `${mib(damage.grownBytes)} MiB`);
  if (flood.isCut) assert.ok(cut, 'the connection stayed open');
}
