import assert from 'node:assert/strict';
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { dial } from '#client/index';
import { configFrom, GitalyServer } from '#gitaly/index';
import { watchThreadStarted } from '#testkit/measure/watch-thread';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { until } from '#testkit/until';
import type { ServerStatus } from './top/status.ts';

interface Line {
  readonly message: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

/** Blocks the thread without using the processor, as a call of the system does. */
function waitsLong(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

/** Blocks the thread for a time, at least a third of which it computes. */
function usesProcessor(ms: number): void {
  const before = process.threadCpuUsage();
  const isUsed = (): boolean => {
    const { user, system } = process.threadCpuUsage(before);
    return user + system > (ms * 1000) / 3;
  };
  for (const untilMs = performance.now() + ms; performance.now() < untilMs || !isUsed(); );
}

/**
 * A server whose logger blocks the event loop for each line about RepositoryExists, as the logger
 * of a program that embeds the server may do.
 */
async function startBlocking(blockMs: number) {
  const directory = makeScratchDirectory('blocked');
  mkdirSync(join(directory, 'default'));
  const lines: Line[] = [];
  const log = (fields: Line['fields'], message: string): void => {
    lines.push({ message, fields });
    if (fields['grpc.method'] === 'RepositoryExists' && fields['grpc.code'] !== undefined) waitsLong(blockMs);
  };
  const server = await GitalyServer.start({
    config: configFrom({
      socket_path: join(directory, 'gitaly.socket'),
      runtime_dir: directory,
      prometheus_listen_addr: '127.0.0.1:0',
      storage: [{ name: 'default', path: join(directory, 'default') }],
    }),
    logger: { error: log, warn: log, info: log },
  });
  const connection = await dial(server.addresses.unix ?? '');
  const read = async (path: string): Promise<string> =>
    await (await fetch(`${server.monitoringAddress}${path}`)).text();
  return {
    connection,
    lines,
    metrics: () => read('/metrics'),
    // It is written by the server of this very version.
    status: async () => JSON.parse(await read('/debug/top')) as ServerStatus,
    async [Symbol.asyncDispose]() {
      await connection.close();
      await server[Symbol.asyncDispose]();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

const repository = { storageName: 'default', relativePath: 'a/b.git' };

// Nobody knew which call had stopped all others: a `.mailmap` froze servers for minutes.
test('a blocked event loop is logged, counted and shown with the call and the stack', async () => {
  await using at = await startBlocking(1500);
  await at.connection.server.serverInfo({});
  await watchThreadStarted();

  await at.connection.repository.repositoryExists({ repository }, { correlationId: 'the-one' });
  await until(() => at.lines.some(({ message }) => message === 'event loop was blocked'));

  const lines = at.lines.filter(({ message }) => message.startsWith('event loop'));
  assert.equal(lines.length, 1);
  assert.partialDeepStrictEqual(lines[0]?.fields, {
    'grpc.service': 'gitaly.RepositoryService',
    'grpc.method': 'RepositoryExists',
    'grpc.request.repoStorage': 'default',
    'grpc.request.repoPath': 'a/b.git',
    correlation_id: 'the-one',
    cause: 'call',
  });
  assert.ok(Number(lines[0]?.fields.blocked_ms) >= 1400);
  assert.match(String(lines[0]?.fields.stack), /at waitsLong/);
  // On a busy machine others follow.
  const block = (await at.status()).blocked.find(({ call }) => call?.correlation_id === 'the-one');
  assert.partialDeepStrictEqual(block?.call, {
    method: '/gitaly.RepositoryService/RepositoryExists',
    repository: 'a/b.git',
    correlation_id: 'the-one',
  });
  assert.ok(block?.stack.some((frame) => frame.includes('waitsLong')));
  const labels = '{grpc_method="RepositoryExists",grpc_service="gitaly.RepositoryService"}';
  const text = await at.metrics();
  assert.ok(text.includes(`gitaly_ts_event_loop_blocked_total${labels} 1\n`));
});

// Such a line had neither a call nor a stack, and named nothing.
for (const [cause, block] of [
  ['javascript', (): void => usesProcessor(1500)],
  ['machine', (): void => waitsLong(1500)],
] as const) {
  test(`a block outside of calls is logged with its cause, ${cause}`, async () => {
    await using at = await startBlocking(0);
    await at.connection.server.serverInfo({});
    await watchThreadStarted();

    setImmediate(block);
    const isReport = ({ message }: Line): boolean => message.startsWith('event loop');
    await until(() => at.lines.some(isReport));

    const { fields } = at.lines.find(isReport) ?? {};
    const usedMs = Number(fields?.processor_ms);
    // A busy machine lets the loop wait for a processor.
    const isStarved = cause === 'javascript' && usedMs < Number(fields?.blocked_ms) / 2;
    assert.deepEqual([fields?.cause, fields?.candidate_calls], [isStarved ? 'machine' : cause, []]);
    assert.ok(cause === 'machine' ? usedMs < 500 : usedMs > 300, `${usedMs} ms`);
  });
}

test('a call that takes less than a second is not reported', async () => {
  await using at = await startBlocking(400);

  for (let round = 0; round < 3; round++) await at.connection.repository.repositoryExists({ repository });
  const { blocked } = await at.status();

  assert.deepEqual(blocked, []);
  assert.ok(!at.lines.some(({ message }) => message.startsWith('event loop')));
});
