import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startGitaly } from '#testkit/start-gitaly';
import { dial, healthCheckDialer, Pool } from './index.ts';

const TOKEN = 'a secret';

test('a pool shares connections by address and token', async () => {
  await using gitaly = await startGitaly({ token: TOKEN });
  let dials = 0;
  await using pool = new Pool({
    dialer: (address, options) => {
      dials++;
      return dial(address, options);
    },
  });

  const [first, second] = await Promise.all([
    pool.dial(gitaly.address, TOKEN),
    pool.dial(gitaly.address, TOKEN),
  ]);
  const other = await pool.dial(gitaly.address);

  assert.equal(first, second);
  assert.notEqual(first, other);
  assert.equal(dials, 2);
  assert.equal(pool.size, 2);
  await first.server.serverInfo({});
  await assert.rejects(pool.dial(''), { message: 'address is empty' });
  await assert.rejects(pool.dial('nonsense'), {
    message: 'could not dial source: invalid connection string: "nonsense"',
  });
  assert.equal(pool.size, 2);
  await pool.close();
  assert.equal(pool.size, 0);
  assert.notEqual(await pool.dial(gitaly.address, TOKEN), first);
});

test("users of a pool's connection cannot close it", async () => {
  await using gitaly = await startGitaly();
  await using pool = new Pool();
  {
    await using connection = await pool.dial(gitaly.address);
    await connection.health.check({});
    await connection.close();
  }

  const connection = await pool.dial(gitaly.address);
  assert.equal(connection.state, 'ready');
  await connection.health.check({});

  await pool.close();
  assert.equal(connection.state, 'shutdown');
  await assert.rejects(connection.health.check({}), {
    code: 'CANCELLED',
    message: 'grpc: the client connection is closing',
  });
});

test('options of a pool apply to all connections, and a failing dialer leaves none in it', async () => {
  await using gitaly = await startGitaly({ token: TOKEN });
  await using pool = new Pool({
    dialer: healthCheckDialer(),
    dialOptions: { retry: false, clientName: 'pooled' },
  });

  await assert.rejects(pool.dial('unix:/nowhere/g.sock'), {
    code: 'UNAVAILABLE',
    message: /^could not dial source: connection error/,
  });
  assert.equal(pool.size, 0);
  await (await pool.dial(gitaly.address, TOKEN)).server.serverInfo({});

  const line = gitaly.log.find((entry) => entry['grpc.method'] === 'ServerInfo');
  assert.equal(line?.['grpc.meta.client_name'], 'pooled');
});

test('closing a pool waits for running dials and closes them', async () => {
  await using gitaly = await startGitaly();
  const pool = new Pool({ dialer: healthCheckDialer() });
  const dialing = pool.dial(gitaly.address);

  await pool.close();

  assert.equal((await dialing).state, 'shutdown');
  assert.equal(pool.size, 0);
});
