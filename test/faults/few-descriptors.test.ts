import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { connect } from 'node:net';
import { test } from 'node:test';
import { openDescriptors } from '#testkit/process-usage';
import { initRepository } from '#testkit/repositories/init-repository';
import { until } from '#testkit/until';
import { Arena, client, commit } from './arena.ts';

/** An idle server needs some forty. */
const MAX_DESCRIPTORS = 90;
const CONNECTIONS = 120;
const CALLS = 60;
const repository = { storageName: 'default', relativePath: 'kept.git' };

test('a server without descriptors refuses with clear errors, and serves again later', async (context) => {
  await using arena = await Arena.start({ maxDescriptors: MAX_DESCRIPTORS });
  const work = await arena.pushed('kept');
  const revision = Buffer.from('main');
  const connection = await arena.gitaly.connect();
  const find = () => connection.commit.findCommit({ repository, revision }, { timeoutMs: 20_000 });
  const { commit: found } = await find();
  await arena.settles();
  const before = openDescriptors(arena.gitaly.pid);

  const sockets: Socket[] = [];
  for (let count = 0; count < CONNECTIONS; count++) {
    const socket = connect(arena.gitaly.address.slice('unix:'.length));
    socket.on('error', () => undefined);
    sockets.push(socket.resume());
  }
  await until(
    () => openDescriptors(arena.gitaly.pid) >= MAX_DESCRIPTORS - 2,
    () => `${openDescriptors(arena.gitaly.pid)} descriptors`,
  );

  // Calls on an open connection that need processes; some with a warm pool may succeed.
  const outcomes = await Promise.all(Array.from({ length: CALLS }, (_, number) => codeOf(listed(number))));
  const pushed = await pushOnce('while none are left');
  context.diagnostic(
    `${before} descriptors when idle; calls: ` +
      `${[...new Set(outcomes.map((outcome) => outcome.replace(/\/\S*/, '…')))].join(' | ')}; push: ` +
      `${pushed.stderr.trim().split('\n')[0]}`,
  );
  for (const outcome of outcomes)
    assert.match(outcome, /^(OK|(INTERNAL|UNAVAILABLE|RESOURCE_EXHAUSTED): .*too many open files)/);
  assert.notEqual(pushed.code, 0);

  for (const socket of sockets) socket.destroy();
  await arena.releases(before + 2);
  assert.equal((await find()).commit?.id, found?.id);
  assert.equal((await pushOnce('again')).code, 0);
  await arena.fsck('kept');
  await connection.close();

  /** Lists a repository for which there is no process yet. */
  async function listed(number: number): Promise<unknown> {
    const relativePath = `other-${number}.git`;
    initRepository(arena.serverPath(`other-${number}`), { commits: 1 });
    return await connection.commit.findCommit(
      { repository: { storageName: 'default', relativePath }, revision },
      { timeoutMs: 20_000 },
    );
  }

  async function pushOnce(message: string) {
    await commit(work, message, `${message}\n`);
    return await client(work, ['push', '-q', 'origin', 'main']);
  }
});

async function codeOf(call: PromiseLike<unknown>): Promise<string> {
  try {
    await call;
    return 'OK';
  } catch (error) {
    return error instanceof Error && 'code' in error ? `${error.code}: ${error.message}` : String(error);
  }
}
