// Own process: it measures the event loop

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { ended, LIST, logIn, type Opened, startGateway } from '#testkit/clients/ssh-gateway-fixture';
import { watchBlocks } from '#testkit/measure/loop-turns';
import { machineSlowness } from '#testkit/measure/machine-slowness';
import { moduleOptions } from '#testkit/programs/program-command';

const FLOOD_MS = 2000;
const MIN_REQUESTS = 10_000;
/** CPU time. The library alone blocked the loop for 1 to 6 s. */
const MAX_BLOCK_MS = 300;
/** The least disturbed flood counts: a virtual machine may stand still meanwhile. */
const ATTEMPTS = 3;

test('a flood of global requests over SSH delays no other client', async (context) => {
  await using opened = await startGateway();
  await using client = await logIn(opened.gateway);
  const list = async (): Promise<unknown> => (await ended(await client.exec(LIST), '0000')).code;
  await list(); // everything is loaded

  let leastMs = Number.POSITIVE_INFINITY;
  for (let attempt = 0; attempt < ATTEMPTS && leastMs >= MAX_BLOCK_MS; attempt++) {
    const flooder = startFlooder(opened.gateway);
    using blocks = watchBlocks();
    do assert.equal(await list(), 0);
    while (flooder.isRunning());
    const requests = await flooder.requests();
    context.diagnostic(`${requests} requests; blocked for at most ${Math.round(blocks.cpuMs)} ms`);
    assert.ok(requests >= MIN_REQUESTS, 'it was a flood');
    assert.ok(blocks.cpuMs > 0);
    leastMs = Math.min(leastMs, blocks.cpuMs);
  }

  const slowness = leastMs < MAX_BLOCK_MS ? 1 : machineSlowness();
  assert.ok(leastMs < MAX_BLOCK_MS * slowness, `blocked for ${leastMs} ms, slower by ${slowness}`);
});

function startFlooder({ host, port }: Opened['gateway']): {
  isRunning(): boolean;
  /** Returns the number of requests that were sent, when it has ended. */
  requests(): Promise<number>;
} {
  const script = join(import.meta.dirname, 'ssh-flooder.ts');
  const words = [script, host, String(port), String(FLOOD_MS), String(MIN_REQUESTS)];
  const flooder = spawn(process.execPath, [...moduleOptions(), ...words], {
    stdio: ['ignore', 'pipe', 'inherit'],
    timeout: 60_000,
  });
  const exited = once(flooder, 'exit');
  const output = text(flooder.stdout);
  return {
    isRunning: () => flooder.exitCode === null && flooder.signalCode === null,
    requests: async () => {
      await exited;
      return Number(await output);
    },
  };
}
