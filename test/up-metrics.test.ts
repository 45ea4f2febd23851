import assert from 'node:assert/strict';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { freePort } from '#base/network/listening-port';
import { runGit } from '#testkit/repositories/run-git';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { gitalyTs, startUp } from './start-up.ts';
import { startUpFamily } from './workers/up-family.ts';

/** Returns the number of finished calls of a method, in all processes. */
async function callsOf(metrics: string, method: string): Promise<number> {
  const text = await (await fetch(`${metrics}/metrics`)).text();
  const lines = text.split('\n').filter((line) => line.startsWith('grpc_server_handled_total'));
  const ofMethod = lines.filter((line) => line.includes(`grpc_method="${method}"`));
  return ofMethod.reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0);
}

test('up --metrics serves metrics and its readiness', async () => {
  const directory = makeScratchDirectory('up-metrics');
  try {
    await using up = await startUp({
      args: [join(directory, 'data'), '--http', '127.0.0.1:0', '--metrics', '127.0.0.1:0'],
    });
    const { http, metrics = '' } = up.report;
    assert.match(metrics, /^http:\/\/127\.0\.0\.1:\d+$/);

    await runGit(['clone', '-q', `${http}/hello.git`, join(directory, 'clone')]);

    assert.ok((await callsOf(metrics, 'PostUploadPackWithSidechannel')) >= 1);
    const ready = await fetch(`${metrics}/-/ready`);
    assert.deepEqual([ready.status, await ready.text()], [200, 'ready\n']);
  } finally {
    rmSync(directory, { recursive: true });
  }
});

// A load balancer sent clients before the gateways listened: for some 100 ms after a start.
test('up is ready when its gateways are', async () => {
  const directory = makeScratchDirectory('up-metrics');
  const [http, ssh, metrics] = [await freePort(), await freePort(), await freePort()];
  const addresses = [`--http=127.0.0.1:${http}`, `--ssh=127.0.0.1:${ssh}`, `--metrics=127.0.0.1:${metrics}`];
  const starting = startUp({ args: [join(directory, 'data'), ...addresses] });
  try {
    const statuses = new Set<number>();
    while (!statuses.has(200)) {
      const answer = await fetch(`http://127.0.0.1:${metrics}/-/ready`).catch(() => undefined);
      if (answer !== undefined) statuses.add(answer.status);
    }
    const ends = await Promise.allSettled([http, ssh].map(canConnect));

    assert.deepEqual(
      ends.map(({ status }) => status),
      ['fulfilled', 'fulfilled'],
    );
  } finally {
    await (await starting)[Symbol.asyncDispose]();
    rmSync(directory, { recursive: true });
  }
});

async function canConnect(port: number): Promise<void> {
  const socket = connect(port, '127.0.0.1');
  await once(socket, 'connect');
  socket.destroy();
}

test('up --metrics counts the calls of all worker processes', async () => {
  const metrics = `127.0.0.1:${await freePort()}`;
  await using server = await startUpFamily({ args: ['--metrics', metrics] });
  const before = await callsOf(`http://${metrics}`, 'PostUploadPackWithSidechannel');

  for (let clone = 0; clone < 4; clone++)
    await runGit(['clone', '-q', `${server.http}/hello.git`, join(server.directory, `clone-${clone}`)]);

  const after = await callsOf(`http://${metrics}`, 'PostUploadPackWithSidechannel');
  assert.equal(after - before, 4 * 2, 'ls-refs and fetch');
});

test('up refuses an address for monitoring without a port', async () => {
  const { code, stderr } = await gitalyTs(['up', '/nonexistent/data', '--metrics', 'localhost']);

  assert.equal(code, 2);
  assert.match(stderr, /--metrics localhost: expected HOST:PORT/);
});
