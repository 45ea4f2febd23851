import assert from 'node:assert/strict';
import { mkdirSync, rmSync } from 'node:fs';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { descriptorOf } from '#base/streams/stream-handle';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { boundNames, INHERITED_VARIABLE, InheritedSockets, parseReady } from './inherited-sockets.ts';

const directory = makeScratchDirectory('sockets');
mkdirSync(directory, { recursive: true });
after(() => rmSync(directory, { recursive: true, force: true }));

async function listening(where: { path: string } | { host?: string; port: number }): Promise<Server> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(where, resolve));
  return server;
}

function namesOf(server: Server): string[] {
  return [...boundNames(descriptorOf(server) ?? -1)];
}

const needsLinux = { skip: process.platform !== 'linux' && 'the addresses are read from /proc' };

test('a socket that systemd has bound is known by its address', needsLinux, async () => {
  const path = join(directory, 'a socket');
  const unix = await listening({ path });
  const loopback = await listening({ host: '127.0.0.1', port: 0 });
  const everywhere = await listening({ host: '0.0.0.0', port: 0 });
  try {
    const port = (server: Server): number => (server.address() as AddressInfo).port; // they are TCP
    assert.deepEqual(namesOf(unix), [`unix:${path}`]);
    assert.deepEqual(namesOf(loopback), [
      `tcp:127.0.0.1:${port(loopback)}`,
      `tcp:localhost:${port(loopback)}`,
    ]);
    assert.ok(namesOf(everywhere).includes(`tcp::${port(everywhere)}`));
    assert.deepEqual([...boundNames(-1)], []);
  } finally {
    for (const server of [unix, loopback, everywhere]) server.close();
  }
});

test('variables for another process are not used, and no child gets any', () => {
  const env = { LISTEN_PID: '1', LISTEN_FDS: '2', LISTEN_FDNAMES: 'unix:tcp', A: 'b' };

  const inherited = InheritedSockets.fromEnvironment(env);

  assert.equal(inherited.take('unix:/x', 'unix'), undefined);
  assert.equal(inherited.predecessor, undefined);
  assert.deepEqual(inherited.closeRest(), []);
  assert.deepEqual(env, { A: 'b' });
});

test('a name of systemd chooses the listener, whatever the address; each socket is taken once', () => {
  // These descriptors are not opened: only the choice is tested.
  const env = { LISTEN_PID: String(process.pid), LISTEN_FDS: '2', LISTEN_FDNAMES: 'tls:unix' };
  const inherited = InheritedSockets.fromEnvironment(env);

  assert.equal(inherited.take('tcp:host:1', 'tcp'), undefined);
  assert.equal(inherited.take('tcp:host:2', 'tls')?.fd, 3);
  assert.equal(inherited.take('tcp:host:2', 'tls'), undefined);
  const unix = inherited.take('unix:/anywhere', 'unix');
  assert.deepEqual([unix?.fd, unix?.keepsFile], [4, true]);
});

for (const count of ['-1', '1.5', '65', 'many']) {
  test(`LISTEN_FDS=${count} is an error`, () => {
    const env = { LISTEN_PID: String(process.pid), LISTEN_FDS: count };
    assert.throws(() => InheritedSockets.fromEnvironment(env), /LISTEN_FDS is ".+", not a number up to 64/);
  });
}

test('what no predecessor writes is an error', () => {
  for (const text of ['', 'no JSON', '[]', '{"sockets":[]}'])
    assert.throws(() => InheritedSockets.fromEnvironment({ [INHERITED_VARIABLE]: text }), /predecessor/);
  for (const line of ['', 'ready', '{"ready":false}'])
    assert.throws(() => parseReady(line), /unexpected message of the new process/);
  assert.deepEqual(parseReady('{"ready":true,"taken":["unix:/a"]}'), new Set(['unix:/a']));
});
