import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FOUND_BY } from './found-by.ts';
import { namedRun, report, runNamed } from './seeds.ts';
import { FAULTS, plantOf } from './simulator/faults.ts';
import { BASES } from './simulator/variants.ts';

for (const [name, fault] of Object.entries(FAULTS))
  test(`the simulation finds a planted fault: ${name}`, async () => {
    const run = namedRun(FOUND_BY[name] ?? '');

    const { violation } = await runNamed(run, plantOf(fault));
    assert.ok(violation !== undefined, `${FOUND_BY[name]} finds nothing: run find-runs.ts`);
    const { violation: unplanted } = await runNamed(run, BASES[fault.base ?? '']);
    if (unplanted !== undefined) assert.fail(await report(run, BASES[fault.base ?? '']));
  });

test('every fault of the list is planted', () => {
  assert.deepEqual(Object.keys(FOUND_BY).sort(), Object.keys(FAULTS).sort());
  assert.ok(Object.keys(FAULTS).length >= 25);
});
