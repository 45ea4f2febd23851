import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { dial } from '#client/index';
import { initRepository } from '#testkit/repositories/init-repository';
import { startGitalyProcess } from '#testkit/servers/start-gitaly-process';
import { until } from '#testkit/until';

const repository = { storageName: 'default', relativePath: 'a.git' };
/** Less than `LAST_READ_MS`. */
const LATE_MS = 2000;

/** A client's connection whose event loop is late: what the server sends is not read yet. */
async function startLateClient(path: string) {
  let far: Socket | undefined;
  const server = createServer((near) => {
    const connection = connect({ path });
    far = connection;
    for (const socket of [near, connection]) socket.on('error', () => {});
    near.pipe(connection).pipe(near);
    connection.on('close', () => near.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const place = server.address();
  return {
    address: `tcp://127.0.0.1:${typeof place === 'object' ? place?.port : 0}`,
    sentBytes: () => far?.bytesWritten ?? 0,
    pause: () => far?.pause(),
    resume: () => far?.resume(),
    [Symbol.dispose]: () => void server.close(),
  };
}

// The server ended before a busy client had read a response. What the client wrote first met a
// closed socket, which closes it with all that was not read: UNAVAILABLE, "EOF".
test('a client that reads late gets the response of its call although the server stops', async () => {
  await using gitaly = await startGitalyProcess();
  initRepository(join(gitaly.directory, 'default/a.git'), { commits: 1 });
  using late = await startLateClient(gitaly.address.slice('unix:'.length));
  await using connection = await dial(late.address, { retry: false });
  const call = () => connection.ref.findDefaultBranchName({ repository });
  await call();
  const finished = () => gitaly.log().split('finished unary call').length;
  const before = finished();

  late.pause();
  const running = call();
  await until(() => finished() > before);
  process.kill(gitaly.pid, 'SIGTERM');
  await delay(LATE_MS); // the client does nothing
  const sentBytes = late.sentBytes();
  const next = call().catch(() => undefined); // no server takes it
  await until(() => late.sentBytes() > sentBytes);
  late.resume();

  assert.equal((await running).name.toString(), 'refs/heads/main');
  await next;
  assert.equal(await gitaly.exited, 0);
});
