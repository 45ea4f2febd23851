import assert from 'node:assert/strict';
import { test } from 'node:test';
import { lazyModule, loadLazyModules } from './lazy-module.ts';

test('a module is loaded at the first call, once, or with all others', async () => {
  const loads: string[] = [];
  const declare = (name: string) =>
    lazyModule(async () => {
      loads.push(name);
      return { name };
    });
  const [first] = [declare('first'), declare('second')];

  assert.deepEqual(loads, []);
  const loaded = await first?.();
  assert.deepEqual(loads, ['first']);
  await loadLazyModules();

  assert.deepEqual(loads, ['first', 'second']);
  assert.equal(await first?.(), loaded);
});
