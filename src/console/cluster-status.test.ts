import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type ConsoleCluster, sharedCluster } from './cluster-status.ts';

const STATUS: ConsoleCluster = { ok: true, problems: [], virtual_storages: [], praefects: [] };

test('requests at the same time, and shortly afterwards, share one reading', async () => {
  let readings = 0;
  const reading = Promise.withResolvers<ConsoleCluster>();
  const source = sharedCluster(() => {
    readings++;
    return reading.promise;
  });

  const all = [source(), source(), source()];
  reading.resolve(STATUS);
  assert.deepEqual(await Promise.all(all), [STATUS, STATUS, STATUS]);
  assert.equal(await source(), STATUS);
  assert.equal(readings, 1);
});

test('a failure is that of the requests that waited for it, the next one reads again', async () => {
  let readings = 0;
  const source = sharedCluster(async () => {
    readings++;
    if (readings === 1) throw new Error('the database is away');
    return STATUS;
  });

  const [one, other] = [source(), source()];
  await assert.rejects(one, /away/);
  await assert.rejects(other, /away/);
  assert.equal(await source(), STATUS);
  assert.equal(readings, 2);
});
