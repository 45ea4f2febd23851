import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { AddressInfo, Socket } from 'node:net';
import { Duplex } from 'node:stream';
import { test } from 'node:test';
import ssh2 from 'ssh2';
import { newEd25519Key } from './keys/openssh-key.ts';
import {
  forgetWritten,
  IDENTIFICATION,
  isExchangingKeys,
  packetsWaiting,
  type SshChannel,
  type SshClient,
  sendingSide,
  withoutIdentification,
} from './ssh-library.ts';

/** Private fields of ssh2 that ssh-library.ts uses. */
const CHANNEL_FIELDS = ['outgoing', '_chunk', '_chunkcb', '_chunkErr', '_chunkcbErr'];
const PROTOCOL_FIELDS = ['_kexinit', '_queue'];

test('package.json names the one version of ssh2 that is installed', () => {
  const require = createRequire(import.meta.url);
  const installed = JSON.parse(readFileSync(require.resolve('ssh2/package.json'), 'utf8'));
  const ours = JSON.parse(readFileSync(new URL('../../../package.json', import.meta.url), 'utf8'));

  assert.equal(ours.dependencies.ssh2, installed.version);
});

test('the private fields of ssh2 that the gateway uses are there and mean what it reads', async () => {
  const host = newEd25519Key();
  const opened = Promise.withResolvers<{ connection: SshClient; channel: SshChannel }>();
  const server = new ssh2.Server({ hostKeys: [host.private] }, (connection) => {
    connection.on('authentication', (attempt) => attempt.accept());
    connection.on('session', (accept) =>
      accept().on('exec', (acceptCommand) => opened.resolve({ connection, channel: acceptCommand() })),
    );
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const client = new ssh2.Client();
  // A TCP server that listens has an address of this shape.
  client.connect({ host: '127.0.0.1', port: (server.address() as AddressInfo).port, username: 'git' });
  await once(client, 'ready');
  client.exec('true', () => {});

  const { channel, connection } = await opened.promise;

  for (const field of CHANNEL_FIELDS) assert.ok(field in channel, `a channel of ssh2 has no ${field}`);
  assert.ok('_protocol' in connection, 'a connection of ssh2 has no _protocol');
  const protocol = new Map(Object.entries(Object(connection._protocol)));
  for (const field of PROTOCOL_FIELDS) assert.ok(protocol.has(field), `ssh2’s protocol has no ${field}`);
  assert.equal(sendingSide(channel).packetSize, 32_768);

  assert.deepEqual([isExchangingKeys(connection), packetsWaiting(connection)], [false, 0]);
  connection.rekey();
  assert.equal(isExchangingKeys(connection), true);
  channel.write('waits for the new keys');
  assert.ok(packetsWaiting(connection) > 0);
  await once(connection, 'rekey');
  assert.deepEqual([isExchangingKeys(connection), packetsWaiting(connection)], [false, 0]);

  forgetWritten(channel);
  for (const field of CHANNEL_FIELDS.slice(1)) assert.equal(Reflect.get(channel, field), undefined);
  client.end();
  server.close();
});

test('the identification that was sent before is not sent again', async () => {
  for (const [first, expected] of [
    [IDENTIFICATION, ['second', 'third']],
    ['first', ['first', 'second', 'third']],
  ] as const) {
    const written: string[] = [];
    const socket = new Duplex({
      write(chunk: Buffer, _encoding, done) {
        written.push(chunk.toString());
        done();
      },
    });
    // Only its `write` is used.
    withoutIdentification(socket as Socket);

    const results = [first, 'second', 'third'].map((text) => socket.write(Buffer.from(text)));

    assert.deepEqual(results, [true, true, true]);
    assert.deepEqual(written, expected);
  }
});
