// Own process: it measures memory

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import ssh2 from 'ssh2';
import { startSshGateway, storageMapping } from '#gateway/index';
import { descriptorLimit } from '#testkit/measure/process-usage';
import { extent } from '#testkit/soak';

/** Both ends of a connection are in this process. */
const CONNECTIONS = Math.min(
  extent('IDLE_CONNECTIONS', { short: 400, long: 10_000 }),
  Math.floor(descriptorLimit() / 2) - 250,
);
/** Number of them that have logged in; both ends of those are in this process. */
const LOGGED_IN = 100;
const MAX_BYTES = (64 << 20) + CONNECTIONS * (64 << 10);

test(`${CONNECTIONS} idle connections cost little, and the next one is served`, async () => {
  const directory = mkdtempSync(join(tmpdir(), 'ssh-idle-'));
  const gateway = await startSshGateway({
    gitaly: { address: 'unix:/nowhere' },
    listen: { host: '127.0.0.1', port: 0 },
    mapping: storageMapping('default'),
    hostKeyPath: join(directory, 'key'),
    access: { everybody: { glId: 'user-1', username: 'git' } },
    limits: {
      maxConnections: CONNECTIONS + 1,
      maxConnectionsPerAddress: CONNECTIONS + 1,
      loginGraceMs: 600_000,
    },
  });
  const login = async () => {
    const client = new ssh2.Client().connect({ host: gateway.host, port: gateway.port, username: 'git' });
    await once(client, 'ready');
    return client;
  };
  const sockets: Socket[] = [];
  const clients = [await login()];
  try {
    const before = process.memoryUsage().rss;

    while (clients.length < LOGGED_IN) clients.push(await login());
    while (sockets.length < CONNECTIONS - LOGGED_IN) {
      const socket = connect(gateway.port, gateway.host).on('error', () => {});
      await once(socket, 'connect');
      socket.write('SSH-2.0-idle\r\n');
      await once(socket, 'data'); // its greeting, which nobody answers
      sockets.push(socket);
    }

    const grown = process.memoryUsage().rss - before;
    assert.ok(grown < MAX_BYTES, `${grown} bytes`);
    clients.push(await login());
  } finally {
    for (const client of clients) client.destroy();
    for (const socket of sockets) socket.destroy();
    await gateway.close();
    rmSync(directory, { recursive: true, force: true });
  }
});
