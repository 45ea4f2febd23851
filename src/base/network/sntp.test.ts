import assert from 'node:assert/strict';
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { test } from 'node:test';
import { queryClockOffsetMs } from './sntp.ts';

interface TimeServer extends AsyncDisposable {
  readonly address: string;
}

const NTP_EPOCH_SECONDS = 2_208_988_800;

function writeTime(packet: Buffer, offset: number, ms: number): void {
  packet.writeUInt32BE((Math.floor(ms / 1000) + NTP_EPOCH_SECONDS) % 2 ** 32, offset);
  packet.writeUInt32BE(Math.floor(((ms % 1000) / 1000) * 2 ** 32), offset + 4);
}

/**
 * Starts a time server on the loopback interface whose clock is `ahead` milliseconds fast; `spoil`
 * may change its response.
 */
async function timeServer(aheadMs: number, spoil: (answer: Buffer) => void = () => {}): Promise<TimeServer> {
  const socket: Socket = createSocket('udp4');
  socket.on('message', (request, from) => {
    const answer = Buffer.alloc(48);
    answer.writeUInt8(0x24, 0);
    answer.writeUInt8(2, 1);
    request.copy(answer, 24, 40, 48);
    writeTime(answer, 32, Date.now() + aheadMs);
    writeTime(answer, 40, Date.now() + aheadMs);
    spoil(answer);
    socket.send(answer, from.port, from.address);
  });
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  return {
    address: `127.0.0.1:${socket.address().port}`,
    async [Symbol.asyncDispose]() {
      socket.close();
    },
  };
}

for (const aheadMs of [0, 60_000, -3_600_000]) {
  test(`the offset of a server whose clock is ${aheadMs} ms fast is measured`, async () => {
    await using server = await timeServer(aheadMs);

    const offsetMs = await queryClockOffsetMs(server.address);

    assert.ok(Math.abs(offsetMs - aheadMs) < 250, `${offsetMs} ms`);
  });
}

test("times after 2036, when NTP's seconds wrap around, are decoded", async () => {
  const aheadMs = Date.UTC(2040, 0) - Date.now();
  await using server = await timeServer(aheadMs);

  assert.ok(Math.abs((await queryClockOffsetMs(server.address)) - aheadMs) < 250);
});

for (const [what, spoil, text] of [
  ['refuses to answer', (answer: Buffer) => answer.writeUInt8(0, 1), /kiss of death/],
  ['does not know the time', (answer: Buffer) => answer.writeUInt8(0xe4, 0), /not synchronized/],
  ['is no server', (answer: Buffer) => answer.writeUInt8(0x23, 0), /does not belong/],
  ['answers another question', (answer: Buffer) => answer.fill(7, 24, 32), /does not belong/],
  ['gives no time', (answer: Buffer) => answer.fill(0, 40, 48), /gave no time/],
] as const) {
  test(`a server that ${what} is an error`, async () => {
    await using server = await timeServer(0, spoil);

    await assert.rejects(queryClockOffsetMs(server.address), text);
  });
}

test('a server that never responds fails after the timeout', async () => {
  const silent = createSocket('udp4').bind(0, '127.0.0.1');
  await once(silent, 'listening');

  await assert.rejects(
    queryClockOffsetMs(`127.0.0.1:${silent.address().port}`, { timeoutMs: 50 }),
    /^Error: i\/o timeout$/,
  );

  silent.close();
});

test('an abort ends the wait with its reason', async () => {
  const silent = createSocket('udp4').bind(0, '127.0.0.1');
  await once(silent, 'listening');

  const query = queryClockOffsetMs(`127.0.0.1:${silent.address().port}`, {
    signal: AbortSignal.abort(new Error('enough')),
  });
  await assert.rejects(query, /enough/);

  silent.close();
});

test('a port without a listener is an error', async () => {
  await assert.rejects(queryClockOffsetMs('127.0.0.1:1', { timeoutMs: 5_000 }), /ECONNREFUSED/);
});

test('an invalid address is refused', async () => {
  await assert.rejects(queryClockOffsetMs('a:b:c'), /invalid address/);
});
