import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NEAREST, nearestTests, OTHERS } from './nearest-tests.ts';

const CHANGED = ['src/git/refs/list.ts'];

/** Returns tests that are as many imports away as their number says. */
function testsIn(folder: string, count: number, imports: number): [string, number][] {
  return Array.from({ length: count }, (_, index) => [`${folder}/${index}.test.ts`, imports]);
}

test('a few tests are all chosen', () => {
  const affected = new Map([...testsIn('src/git/refs', 3, 1), ...testsIn('test', NEAREST - 3, 6)]);

  assert.deepEqual(nearestTests(affected, CHANGED, '7'), new Set(affected.keys()));
});

test('of many, those with fewer imports between and in nearer folders are chosen, and some others', () => {
  const near = testsIn('src/git/refs', 20, 2);
  const service = testsIn('src/services/ref', 25, 4);
  const far = testsIn('test/cluster', 300, 4);
  const affected = new Map([...far, ...service, ...near]);

  const chosen = nearestTests(affected, CHANGED, '7');

  assert.equal(chosen.size, NEAREST + OTHERS);
  assert.deepEqual(
    new Set([...chosen].slice(0, NEAREST)),
    new Set([...near, ...service].map(([name]) => name)),
  );
});

test('each changed test is chosen, however many there are', () => {
  const changed = testsIn('test/cluster', NEAREST + OTHERS, 0);
  const affected = new Map([...testsIn('src/git/refs', 9, 1), ...changed]);

  const chosen = nearestTests(affected, CHANGED, '7');

  for (const [name] of changed) assert.ok(chosen.has(name), name);
});

test('the others differ with the seed', () => {
  const affected = new Map(testsIn('src/git', 200, 3));
  const othersOf = (seed: string): string[] => [...nearestTests(affected, CHANGED, seed)].slice(NEAREST);

  assert.notDeepEqual(othersOf('1'), othersOf('2'));
  assert.deepEqual(othersOf('1'), othersOf('1'));
});
