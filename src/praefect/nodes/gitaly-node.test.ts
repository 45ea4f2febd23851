import assert from 'node:assert/strict';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { GitalyNode } from './gitaly-node.ts';

const ROUNDS = 20;
/** The longest pause between attempts to connect, with its jitter. */
const PAUSE_MS = 2400;

// Born failing: after some minutes the pauses between attempts were two minutes long.
test('a node that was away for long is noticed within seconds', async (context) => {
  const directory = makeScratchDirectory('node');
  using _removing = { [Symbol.dispose]: () => rmSync(directory, { recursive: true }) };
  const path = join(directory, 's');
  let attempts = 0;
  // A server whose connections end at once.
  const server = createServer((socket) => {
    attempts++;
    socket.destroy();
  }).listen(path);
  await once(server, 'listening');
  context.mock.timers.enable({ apis: ['setTimeout'] });
  const config = { virtualStorage: 'default', storage: 'a', address: `unix:${path}`, token: undefined };
  await using node = await GitalyNode.dial(config, (stream) => void stream.destroy());

  for (let round = 1; round <= ROUNDS; round++) {
    assert.equal(await node.isServing(60_000, () => {}), false);
    assert.equal(attempts, round);
    context.mock.timers.tick(PAUSE_MS);
  }

  server.close();
});
