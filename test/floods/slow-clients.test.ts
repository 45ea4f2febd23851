import assert from 'node:assert/strict';
import { randomFillSync } from 'node:crypto';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { after, before, test } from 'node:test';
import { descriptorLimit, openDescriptors } from '#testkit/measure/process-usage';
import { extent, isSoak } from '#testkit/soak';
import { preface } from './http2-frames.ts';
import { connectTo, isCut, mib, report, Victim } from './victim.ts';

/** Number of clients of each kind. */
const CLIENTS = 200;
const MAX_GROWTH_BYTES = 96 * 1024 ** 2;
const IDLE_CONNECTIONS = extent('FLOOD_CONNECTIONS', { short: 3000, long: 10_000 });
/** Sockets, objects of Node and ours; an HTTP/2 session is the largest part. */
const MAX_SILENT_BYTES = 16 * 1024;
const MAX_SESSION_BYTES = 48 * 1024;
/** Descriptors that this process and the server need in addition. */
const SPARE_DESCRIPTORS = 500;

let victim: Victim;
before(async () => {
  victim = await Victim.start();
});
after(() => victim[Symbol.asyncDispose]());

const CLIENT_HELLO_START = Buffer.from('16030102000100', 'hex');

/** Beginnings that clients never finish, by kind of listener. */
const BEGINNINGS: Readonly<Record<string, readonly Buffer[]>> = {
  grpc: [
    Buffer.alloc(0),
    Buffer.from('PRI'),
    Buffer.from('backcha'),
    Buffer.from('backchannel'),
    Buffer.from('backchannel\0\x01\0'),
    Buffer.concat([Buffer.from('backchannel'), Buffer.from('000100010000000100000000', 'hex')]),
    Buffer.from('PRI * HTTP/2.0\r\n\r\nSM'),
    preface().subarray(0, 30),
  ],
  tls: [Buffer.alloc(0), CLIENT_HELLO_START],
  http: [Buffer.alloc(0), Buffer.from('GET /met'), Buffer.from('GET /metrics HTTP/1.1\r\nx-a: ')],
};

const LISTENERS = [
  ['unix', 'grpc', () => victim.gitaly.address],
  ['internal', 'grpc', () => victim.gitaly.internalAddress],
  ['tcp', 'grpc', () => victim.gitaly.tcp],
  ['tls', 'tls', () => victim.gitaly.tls],
  ['monitoring', 'http', () => victim.gitaly.monitoring],
] as const;

for (const [name, kind, addressOf] of LISTENERS) {
  test(`clients of the ${name} listener that never continue harm no other client`, async (context) => {
    const address = addressOf() ?? '';
    const descriptors = openDescriptors(victim.gitaly.pid);
    const sockets: Socket[] = [];

    const damage = await victim.flood(async () => {
      const beginnings = BEGINNINGS[kind] ?? [];
      for (let client = 0; client < CLIENTS; client++) {
        const socket = await connectTo(address);
        sockets.push(socket);
        const beginning = beginnings[client % beginnings.length] ?? Buffer.alloc(0);
        // One byte at a time, the slowest way.
        for (const byte of client < 20 ? beginning : []) socket.write(Buffer.of(byte));
        if (client >= 20) socket.write(beginning);
      }
    });

    report(context, name, damage);
    for (const socket of sockets) socket.destroy();
    assert.ok(damage.grownBytes < MAX_GROWTH_BYTES, `${mib(damage.grownBytes)} MiB`);
    await victim.releases(descriptors + 1);
  });

  test(`garbage on the ${name} listener ends only its connection`, async (context) => {
    const address = addressOf() ?? '';
    const descriptors = openDescriptors(victim.gitaly.pid);

    const damage = await victim.flood(async () => {
      for (let client = 0; client < 20; client++) {
        const socket = await connectTo(address);
        const garbage = randomFillSync(Buffer.alloc(100_000));
        garbage[0] = 0xff; // with 0 it may begin a frame of gigabytes, which is waited for
        // After the magic, the multiplexer receives the garbage.
        socket.write(client % 2 === 0 ? garbage : Buffer.concat([Buffer.from('backchannel'), garbage]));
        assert.ok(await isCut(socket), 'the connection stayed open');
      }
    });

    report(context, name, damage);
    await victim.releases(descriptors + 1);
  });
}

const IDLE = [
  { kind: 'connections that say nothing', hello: undefined, maxBytes: MAX_SILENT_BYTES },
  { kind: 'HTTP/2 connections without calls', hello: preface(), maxBytes: MAX_SESSION_BYTES },
] as const;

for (const [name, listener, addressOf] of isSoak ? LISTENERS : LISTENERS.slice(0, 1)) {
  for (const { kind, hello, maxBytes } of listener === 'grpc' ? IDLE : IDLE.slice(0, 1)) {
    test(`${IDLE_CONNECTIONS} idle ${kind} of the ${name} listener harm no other client`, async (context) => {
      const allowed = descriptorLimit();
      const count = Math.min(IDLE_CONNECTIONS, allowed - SPARE_DESCRIPTORS);
      if (count < IDLE_CONNECTIONS)
        context.diagnostic(`only ${count}, because ${allowed} descriptors are allowed (ulimit -n)`);
      const descriptors = openDescriptors(victim.gitaly.pid);
      const sockets: Socket[] = [];

      const damage = await victim.flood(async () => {
        for (let opened = 0; opened < count; opened += 250) {
          const more = Array.from({ length: Math.min(250, count - opened) }, () =>
            connectTo(addressOf() ?? ''),
          );
          for (const socket of await Promise.all(more)) {
            sockets.push(socket);
            if (hello === undefined) continue;
            socket.write(hello);
            await once(socket, 'data');
          }
        }
      });

      report(context, kind, damage);
      context.diagnostic(`${Math.round(damage.grownBytes / count)} bytes for each of ${count}`);
      for (const socket of sockets) socket.destroy();
      assert.ok(
        damage.grownBytes / count < maxBytes,
        `${Math.round(damage.grownBytes / count)} bytes for each`,
      );
      await victim.releases(descriptors + 1);
    });
  }
}
