import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { SheddableCall } from '#calls/load-shedder';
import { LinkedFamily } from '#testkit/servers/linked-family';
import { sheddingSharing } from './shared-shedding.ts';

test('the first process knows the expensive calls of all workers, and ends the right one', async () => {
  const family = new LinkedFamily();
  const first = sheddingSharing(family.supervisor);
  const ended: number[] = [];
  const call = (cpuMs: number, isRunning = true): SheddableCall => ({
    cpuMs,
    end: async () => {
      ended.push(cpuMs);
      return isRunning;
    },
  });
  for (const calls of [[call(30), call(10)], [call(20, false)], []]) {
    const worker = sheddingSharing(family.start());
    assert.ok(worker?.role === 'worker');
    worker.answer(async () => calls);
  }
  assert.ok(first?.role === 'supervisor');

  const others = await first.others();

  assert.deepEqual(
    others.map(({ cpuMs }) => cpuMs),
    [30, 10, 20],
  );
  assert.equal(await others[1]?.end(), true);
  assert.equal(await others[2]?.end(), false);
  assert.deepEqual(ended, [10, 20]);
});

test('a worker that ends has no calls', async () => {
  const family = new LinkedFamily();
  const first = sheddingSharing(family.supervisor);
  const worker = family.start();
  const sharing = sheddingSharing(worker);
  assert.ok(sharing?.role === 'worker' && first?.role === 'supervisor');
  sharing.answer(async () => [{ cpuMs: 1, end: async () => true }]);
  const [call] = await first.others();

  worker.end();

  assert.equal(await call?.end(), false);
  assert.deepEqual(await first.others(), []);
});
