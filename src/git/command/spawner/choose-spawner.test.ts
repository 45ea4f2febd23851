import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { chooseSpawner } from './choose-spawner.ts';

test('on Linux processes are started by posix_spawn, by one spawner', async () => {
  const { name, fallbackReason } = await chooseSpawner();

  assert.deepEqual([name, fallbackReason], ['posix_spawn', undefined]);
  assert.equal(await chooseSpawner(), await chooseSpawner());
});

test('a worker thread, which gets no signals, starts processes as Node does', async () => {
  const module = JSON.stringify(new URL('./choose-spawner.ts', import.meta.url).href);
  const worker = new Worker(
    `import(${module}).then(async ({ chooseSpawner }) => {
       const { name, fallbackReason } = await chooseSpawner();
       require('node:worker_threads').parentPort.postMessage([name, fallbackReason]);
     });`,
    { eval: true },
  );

  assert.deepEqual(await once(worker, 'message'), [['child_process', 'this is a worker thread']]);
  await worker.terminate();
});
