import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import type { Duplex } from 'node:stream';
import { after, before, test } from 'node:test';
import { connect as connectTls } from 'node:tls';
import { BACKCHANNEL_MAGIC } from '#rpc/common/connection-magic';
import { YamuxSession } from '#rpc/common/yamux/session';
import { type GitalyProcess, startGitalyProcess } from '#testkit/servers/start-gitaly-process';
import { FRAME, frame } from './floods/http2-frames.ts';

const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
const SETTINGS = frame(FRAME.settings, 0, 0);
const ACK = 1;
const ACKNOWLEDGEMENT = frame(FRAME.settings, ACK, 0);
const PING = Buffer.from('pingpong');

let gitaly: GitalyProcess;
before(async () => {
  gitaly = await startGitalyProcess({ everyListener: true });
});
after(() => gitaly[Symbol.asyncDispose]());

function open(address: string): Duplex {
  const path = /^unix:(.*)$/.exec(address)?.[1];
  const [host, port] = address.split(':');
  return path === undefined ? connect(Number(port), host) : connect(path);
}

function openTls(address: string): Duplex {
  const [host, port] = address.split(':');
  return connectTls({ host, port: Number(port), ALPNProtocols: ['h2'], rejectUnauthorized: false });
}

async function openMultiplexed(address: string): Promise<Duplex> {
  const socket = open(address);
  socket.write(BACKCHANNEL_MAGIC);
  const session = new YamuxSession(socket, { role: 'client' });
  const stream = await session.open();
  stream.once('close', () => socket.destroy());
  return stream;
}

const CONNECTIONS: Readonly<Record<string, () => Duplex | Promise<Duplex>>> = {
  'a TCP connection': () => open(gitaly.tcp ?? ''),
  'a TLS connection': () => openTls(gitaly.tls ?? ''),
  'a Unix socket': () => open(gitaly.address),
  'the internal socket': () => open(gitaly.internalAddress),
  'a multiplexed connection': () => openMultiplexed(gitaly.tcp ?? ''),
};

/** The frames that a peer sends. */
class Received {
  readonly frames: { readonly type: number; readonly flags: number }[] = [];
  #pending: Buffer = Buffer.alloc(0);

  constructor(from: Duplex) {
    from.on('error', () => {});
    from.on('data', (chunk: Buffer) => this.#add(chunk));
  }

  count(type: number, flags: number): number {
    return this.frames.filter((each) => each.type === type && (each.flags & ACK) === flags).length;
  }

  #add(chunk: Buffer): void {
    this.#pending = Buffer.concat([this.#pending, chunk]);
    while (this.#pending.length >= 9) {
      const end = 9 + this.#pending.readUIntBE(0, 3);
      if (this.#pending.length < end) return;
      this.frames.push({ type: this.#pending.readUInt8(3), flags: this.#pending.readUInt8(4) });
      this.#pending = this.#pending.subarray(end);
    }
  }
}

// h2spec passed 3 of 145 cases, and nghttp ended with SETTINGS_TIMEOUT: the server sent its
// acknowledgement only after the first request.
for (const [name, connection] of Object.entries(CONNECTIONS)) {
  for (const when of ['at once', 'late'] as const) {
    test(`on ${name} a client that acknowledges ${when} gets one acknowledgement`, async () => {
      const socket = await connection();
      const received = new Received(socket);
      const until = async (holds: () => boolean): Promise<void> => {
        while (!holds()) await once(socket, 'data');
      };
      let acknowledged = 0;
      const acknowledge = (): void => {
        for (; acknowledged < received.count(FRAME.settings, 0); acknowledged++)
          socket.write(ACKNOWLEDGEMENT);
      };

      socket.write(Buffer.concat([PREFACE, SETTINGS]));
      await until(() => received.count(FRAME.settings, 0) > 0);
      if (when === 'at once') acknowledge();
      await until(() => received.count(FRAME.settings, ACK) > 0);
      acknowledge();
      socket.write(frame(FRAME.ping, 0, 0, PING));
      await until(() => received.count(FRAME.ping, ACK) > 0);

      assert.equal(received.count(FRAME.settings, ACK), 1);
      assert.equal(received.count(FRAME.goAway, 0), 0);
      socket.destroy();
    });
  }
}
