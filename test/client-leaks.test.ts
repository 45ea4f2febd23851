// Own process: it measures memory and descriptors

import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { PassThrough } from 'node:stream';
import { after, before, type TestContext, test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import {
  dial,
  dialSidechannel,
  receivePack,
  SidechannelRegistry,
  uploadPackWithSidechannel,
} from '#client/index';
import { heldResources } from '#testkit/measure/held-resources';
import { type GitalyProcess, startGitalyProcess } from '#testkit/servers/start-gitaly-process';
import { extent, isSoak } from '#testkit/soak';

const CYCLES = extent('LEAK_CYCLES', { short: 3000, long: 10_000 });
/**
 * Growth caused by the engine itself, more in a short run; a leak of a small object with strings
 * is larger.
 */
const NOISE_BYTES = CYCLES * (isSoak ? 40 : 75);

/** Cycles until the engine has compiled what they need. */
const WARM_UP = 400;

const REPOSITORY = { storageName: 'default', relativePath: 'a.git', glRepository: 'project-1' };

let gitaly: GitalyProcess;
before(async () => {
  gitaly = await startGitalyProcess();
  await using connection = await dial(gitaly.address);
  await connection.repository.createRepository({ repository: REPOSITORY });
});
after(() => gitaly[Symbol.asyncDispose]());

/**
 * Runs the cycle often, `width` at a time, and compares the memory in use with that after the first
 * quarter.
 */
async function assertKeepsNothing(
  context: TestContext,
  cycle: () => Promise<unknown>,
  { cycles = CYCLES, width = 8 } = {},
): Promise<void> {
  const run = async (count: number) => {
    let left = count;
    const worker = async () => {
      while (left-- > 0) await cycle();
    };
    await Promise.all(Array.from({ length: width }, worker));
  };
  await run(Math.max(WARM_UP, cycles / 4));
  const early = await heldResources();
  await run(cycles);
  const late = await heldResources();

  assert.ok(
    late.descriptors <= early.descriptors,
    `${late.descriptors} descriptors after ${early.descriptors}`,
  );
  assert.ok(late.resources <= early.resources, `${late.resources} resources after ${early.resources}`);
  const grown = late.heapBytes - early.heapBytes;
  context.diagnostic(`${grown} bytes more`);
  assert.ok(grown < NOISE_BYTES, `the heap grew by ${grown} bytes in ${cycles} cycles`);
}

test(`${CYCLES} connections that were used and closed leak nothing`, async (context) => {
  await assertKeepsNothing(context, async () => {
    await using connection = await dial(gitaly.address);
    await connection.health.check({});
  });
});

test(`${CYCLES} calls leak nothing, however they end`, async (context) => {
  await using connection = await dial(gitaly.address);
  const keeping = new AbortController();
  const { signal } = keeping;
  let turn = 0;
  const endings: (() => Promise<unknown>)[] = [
    () => connection.health.check({}, { signal, timeoutMs: 60_000 }),
    () => assert.rejects(connection.ref.refExists({}, { signal, timeoutMs: 60_000 })),
    () => assert.rejects(connection.health.check({}, { signal, timeoutMs: 0 })),
    () => assert.rejects(connection.health.check({}, { signal: AbortSignal.abort() })),
    async () => {
      const abort = new AbortController();
      const call = connection.health.check({}, { signal: abort.signal });
      abort.abort();
      await assert.rejects(call);
    },
    async () => {
      for await (const _ of connection.smartHttp.infoRefsUploadPack({ repository: REPOSITORY }, { signal }))
        break;
    },
    async () => {
      await using _call = connection.ssh.sshReceivePack([], { signal });
    },
  ];

  await assertKeepsNothing(context, () => endings[turn++ % endings.length]?.() ?? Promise.resolve());

  assert.equal(getEventListeners(signal, 'abort').length, 0);
});

test('git streams that are interrupted at any point leak nothing', async (context) => {
  const registry = new SidechannelRegistry();
  await using connection = await dialSidechannel(gitaly.address, registry);
  const keeping = new AbortController();
  let turn = 0;
  const cutOff = async () => {
    const io = {
      stdin: new PassThrough(),
      stdout: new PassThrough().resume(),
      stderr: new PassThrough().resume(),
    };
    const request = { repository: REPOSITORY, glId: 'user-1' };
    const kind = turn++ % 5;
    const options = {
      signal: AbortSignal.any([keeping.signal, AbortSignal.timeout([0, 1, 5, 20, 50][kind] ?? 0)]),
    };
    const running =
      turn % 2 === 0
        ? receivePack(connection, io, request, options)
        : uploadPackWithSidechannel(connection, registry, io, request, options);
    await assert.rejects(running, { code: 'CANCELLED' });
    await setImmediate(); // a sidechannel closes in the next turn
    for (const stream of Object.values(io))
      for (const name of ['readable', 'drain', 'error', 'close'])
        assert.equal(stream.listenerCount(name), 0, name);
  };

  await assertKeepsNothing(context, cutOff, { cycles: 200 });

  assert.equal(registry.size, 0);
  assert.equal((await connection.health.check({})).status, 1);
});
