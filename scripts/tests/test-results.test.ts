import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { test } from 'node:test';

const REPORTER = join(import.meta.dirname, 'test-results.ts');

/** Runs files of tests; returns the reporter's lines, and the paths of the files below the root. */
function resultsOf(files: Readonly<Record<string, string>>) {
  const directory = realpathSync(mkdtempSync(join(tmpdir(), 'test-results-')));
  try {
    const paths = Object.entries(files).map(([name, text]) => {
      writeFileSync(join(directory, name), text);
      return join(directory, name);
    });
    const { NODE_TEST_CONTEXT: _, ...env } = process.env;
    const tests = paths.filter((path) => path.endsWith('.test.mjs'));
    const { stdout } = spawnSync(process.execPath, ['--test', `--test-reporter=${REPORTER}`, ...tests], {
      env,
      encoding: 'utf8',
    });
    const results: unknown[] = stdout
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line));
    return { results, tests: tests.map((path) => relative('.', path)) };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

test('the file that was run is named, also for tests that a module defines for it', () => {
  const { results, tests } = resultsOf({
    'shared.mjs': `import { test } from 'node:test';
       export const define = () => test('x', () => { throw new Error(); });`,
    'a.test.mjs': `import { define } from './shared.mjs'; define(); define();`,
    'b.test.mjs': '',
  });

  assert.deepEqual(results, [{ failed: tests[0] }]);
});

test('skipped tests and suites are reported with their reasons', () => {
  const { results, tests } = resultsOf({
    'a.test.mjs': `import { suite, test } from 'node:test';
       test('passes', () => {});
       test('declared', { skip: 'no program' }, () => {});
       test('at run time', (context) => context.skip('no disk'));
       test('silent', { skip: true }, () => {});
       suite('of two', { skip: 'no database' }, () => { test('a', () => {}); });`,
  });

  const [file] = tests;
  assert.deepEqual(results, [
    { skipped: { file, name: 'declared', reason: 'no program' } },
    { skipped: { file, name: 'at run time', reason: 'no disk' } },
    { skipped: { file, name: 'silent', reason: '' } },
    { skipped: { file, name: 'of two', reason: 'no database' } },
  ]);
});
