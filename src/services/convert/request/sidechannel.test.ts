import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { BAND, readSideBand, sideBandWriter } from '#base/pkt-line/side-band';
import { closeSidechannel } from './sidechannel.ts';

/** Creates the two ends of a socket. */
async function socketPair() {
  const directory = mkdtempSync(join(tmpdir(), 'sidechannel-'));
  const server = createServer({ allowHalfOpen: true }).listen(join(directory, 's'));
  const accepted = once(server, 'connection') as Promise<[Socket]>; // what a server's event carries
  const client = connect(join(directory, 's'));
  const [socket] = await accepted;
  const dispose = () => {
    socket.destroy();
    client.destroy();
    server.close();
    rmSync(directory, { recursive: true });
  };
  return { socket, client, [Symbol.dispose]: dispose };
}

// Before, a slow client received a pack without its end.
test('what the bands still hold goes out before the end', async () => {
  using pair = await socketPair();
  const bands = [sideBandWriter(pair.socket, BAND.stdout), sideBandWriter(pair.socket, BAND.stderr)];
  const chunk = Buffer.alloc(40_000, 'x');
  for (let i = 0; i < 50; i++) for (const band of bands) band.write(chunk);

  const closed = closeSidechannel(pair.socket, bands);
  await delay(20); // the client does not read yet
  const bytes = [0, 0, 0];
  for await (const { band, data } of readSideBand(pair.client))
    bytes[band] = (bytes[band] ?? 0) + data.length;
  await closed;

  assert.deepEqual(bytes, [0, 2_000_000, 2_000_000]);
});

test('a client that has left is no error', async () => {
  using pair = await socketPair();
  const band = sideBandWriter(pair.socket, BAND.stdout);
  pair.socket.on('error', () => {});
  for (let i = 0; i < 50; i++) band.write(Buffer.alloc(100_000));

  const closed = closeSidechannel(pair.socket, [band]);
  pair.client.destroy();

  await closed;
});
