import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hashOf } from '../tests/executed-code.ts';
import { executes, mostRelevantFirst, type TestRun } from './coverage.ts';

const FILE = 'src/x.ts';
const SOURCE = 'export function one() {}\nexport function two() {}\n';

/** Returns a run that executes parts of the file; of another version of it, if `source` is given. */
function run(name: string, seconds: number, borders: readonly number[], source = SOURCE): TestRun {
  const files = { [FILE]: { hash: hashOf(source), borders } };
  return { test: name, hash: '', isPassed: true, seconds, files };
}

test('a test executes what is between two borders, and all of a file that has changed', () => {
  const some = run('some', 1, [10, 20, 30, 40]);
  const executed = [9, 10, 19, 20, 30, 40].map((at) => executes(some, FILE, SOURCE, at));
  assert.deepEqual(executed, [false, true, true, false, true, false]);
  assert.equal(executes(run('stale', 1, [10, 20], 'older'), FILE, SOURCE, 25), true);
  assert.equal(executes(some, 'src/other.ts', SOURCE, 10), false);
});

// Mutants survived tests that only import the file; those of its subject were not run in time.
test('tests that execute more of a file come first, then the shorter ones', () => {
  const runs = [
    run('imports it', 1, [0, 5]),
    run('stale', 1, [0, 49], 'older'),
    run('slow, all of it', 9, [0, 49]),
    run('all of it', 8, [0, 24, 24, 49]),
    run('half of it', 1, [0, 12, 30, 42]),
  ];

  const ranked = mostRelevantFirst(runs, FILE, SOURCE).map((each) => each.test);

  assert.deepEqual(ranked, ['all of it', 'slow, all of it', 'half of it', 'imports it', 'stale']);
});
