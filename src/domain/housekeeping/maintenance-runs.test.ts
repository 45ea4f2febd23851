import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { test } from 'node:test';
import { MaintenanceRuns } from './maintenance-runs.ts';

const repository = { path: '/r.git' };

test('a run that cannot be left out aborts the running one and leaves no listener', async () => {
  const runs = new MaintenanceRuns();
  const call = new AbortController();
  const first = await runs.tryStart(repository);
  assert.equal(await runs.tryStart(repository), undefined);

  const taking = runs.takeOver(repository, call.signal);

  assert.equal(first?.signal.aborted, true);
  first?.[Symbol.dispose]();
  using second = await taking;
  assert.equal(second.signal.aborted, false);
  assert.equal(runs.isRunning(repository), true);
  assert.deepEqual(getEventListeners(call.signal, 'abort'), []);
});

test('a call that is aborted while it waits starts nothing', async () => {
  const runs = new MaintenanceRuns();
  const call = new AbortController();
  using first = await runs.tryStart(repository);
  const taking = runs.takeOver(repository, call.signal);

  call.abort();

  await assert.rejects(taking, { code: 'CANCELLED' });
  first?.[Symbol.dispose]();
  assert.equal(runs.isRunning(repository), false);
  await assert.rejects(runs.takeOver(repository, call.signal), { code: 'CANCELLED' });
  assert.equal(runs.isRunning(repository), false);
});
