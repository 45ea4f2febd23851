// Own process: it measures the event loop

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { watchBlocks } from '#testkit/loop-turns';
import { moduleOptions } from '#testkit/program-command';
import { ended, LIST, logIn, startGateway } from '#testkit/ssh-gateway-fixture';

const FLOOD_MS = 2000;
/** CPU time. The library alone blocked the loop for 1 to 6 s. */
const MAX_BLOCK_MS = 300;

test('a flood of global requests over SSH delays no other client', async (context) => {
  await using opened = await startGateway();
  const { host, port } = opened.gateway;
  await using client = await logIn(opened.gateway);
  await ended(await client.exec(LIST), '0000'); // everything is loaded
  const script = join(import.meta.dirname, 'ssh-flooder.ts');
  const flooder = spawn(
    process.execPath,
    [...moduleOptions(), script, host, String(port), String(FLOOD_MS)],
    {
      stdio: ['ignore', 'pipe', 'inherit'],
      timeout: 30_000,
    },
  );
  const exited = once(flooder, 'exit');
  const requests = text(flooder.stdout);

  using blocks = watchBlocks();
  for (let isOver = false; !isOver; ) {
    assert.equal((await ended(await client.exec(LIST), '0000')).code, 0);
    isOver = flooder.exitCode !== null;
  }

  await exited;
  const blockedMs = Math.round(blocks.cpuMs);
  context.diagnostic(`${(await requests).trim()} requests; blocked for at most ${blockedMs} ms`);
  assert.ok(Number(await requests) > 10_000, 'it was a flood');
  assert.ok(blockedMs > 0 && blockedMs < MAX_BLOCK_MS, `blocked for ${blockedMs} ms`);
});
