import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isEmptyPlan, type MaintenancePlan, type MaintenanceTask, restrictPlan } from './plan.ts';

const REPACK = { strategy: 'geometric', writeBitmap: true, writeMultiPackIndex: true } as const;
const EVERYTHING: Required<MaintenancePlan> = {
  repack: REPACK,
  prune: { expireBeforeMs: 1 },
  packReferences: true,
  commitGraph: { replaceChain: true },
};
const NOTHING = { repack: undefined, prune: undefined, packReferences: false, commitGraph: undefined };
const TASKS: readonly MaintenanceTask[] = ['repack', 'prune', 'packReferences', 'commitGraph'];

test('a plan is empty without any task', () => {
  assert.equal(isEmptyPlan({ packReferences: false }), true);
  assert.equal(isEmptyPlan(EVERYTHING), false);
  for (const task of TASKS) assert.equal(isEmptyPlan({ ...NOTHING, [task]: EVERYTHING[task] }), false, task);
});

test('a restricted plan has the tasks that were chosen and planned', () => {
  for (const task of TASKS) {
    assert.deepEqual(restrictPlan(EVERYTHING, new Set([task])), { ...NOTHING, [task]: EVERYTHING[task] });
    assert.deepEqual(restrictPlan(NOTHING, new Set([task])), NOTHING);
  }
  assert.deepEqual(restrictPlan(EVERYTHING, new Set(TASKS)), EVERYTHING);
});
