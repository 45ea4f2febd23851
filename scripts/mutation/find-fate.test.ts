import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { after, test } from 'node:test';
import { gitOutput } from '#testkit/repositories/init-repository';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import type { TestRun } from './coverage.ts';
import { type FateSearch, fateOf, type Result } from './find-fate.ts';
import { mutantsOf } from './operators.ts';
import { Sandbox } from './sandbox.ts';

const skip =
  spawnSync('unshare', ['--mount', '--pid', '--fork', 'true']).status !== 0 &&
  'this needs unshare(1) and the right to mount';

const FILE = 'src/near/sum.ts';
const IMPORTS = `import assert from 'node:assert/strict';\nimport { test } from 'node:test';\n`;
const USE = `import { other, sum } from '../near/sum.ts';\n`;
/** The tests of a project, by what they notice. */
const TESTS = {
  'src/near/notices.test.ts': `test('x', () => assert.equal(sum(1, 2), 3));`,
  'src/near/passes-by.test.ts': `test('x', () => void sum(1, 2));`,
  'src/near/elsewhere.test.ts': `test('x', () => assert.equal(other(), 5));`,
  'src/near/fails.test.ts': `test('x', () => assert.fail());`,
  'src/far/notices.test.ts': `test('x', () => assert.equal(sum(2, 2), 4));`,
} as const;
const PROJECT: Readonly<Record<string, string>> = {
  '.gitignore': '.cache\n',
  'package.json': '{ "type": "module" }',
  [FILE]: 'export const sum = (a: number, b: number): number => a + b;\nexport const other = () => 5;\n',
  ...Object.fromEntries(Object.entries(TESTS).map(([name, text]) => [name, IMPORTS + USE + text])),
};

const scratch = makeScratchDirectory('fates');
after(() => rmSync(scratch, { recursive: true }));
const root = join(scratch, 'project');
for (const [name, text] of Object.entries(PROJECT)) {
  mkdirSync(dirname(join(root, name)), { recursive: true });
  writeFileSync(join(root, name), text);
}
gitOutput(root, ['init', '-q']);

/** Returns the fate of `a + b` among some tests, and the tests that have run. */
async function fate(
  name: string,
  tests: readonly (keyof typeof TESTS)[],
  options: Partial<FateSearch> = {},
): Promise<{ result: Result | undefined; measured: readonly string[] }> {
  const [mutant] = mutantsOf(FILE, PROJECT[FILE] ?? '').filter(({ line }) => line === 1);
  assert.ok(mutant !== undefined);
  using sandbox = new Sandbox(root, join(root, `.cache/${name}`));
  const runs = new Map<string, TestRun>();
  const coverage = join(scratch, `${name}-coverage`);
  const limits = { maxSeconds: 60, maxOthers: 10, inTime: () => true };
  const result = await fateOf(mutant, sandbox, {
    testsOf: () => tests,
    coverage,
    runs,
    ...limits,
    ...options,
  });
  assert.equal(readFileSync(join(sandbox.directory, FILE), 'utf8'), PROJECT[FILE], 'the source is unchanged');
  return { result, measured: [...runs.keys()] };
}

test('a mutant is killed by the first test that notices it', { skip }, async () => {
  const tests = [
    'src/near/passes-by.test.ts',
    'src/near/notices.test.ts',
    'src/far/notices.test.ts',
  ] as const;

  const { measured, result } = await fate('killed', tests);

  assert.deepEqual([result?.fate, result?.by], ['killed', 'src/near/notices.test.ts']);
  assert.deepEqual(measured, tests.slice(0, 2), 'no test behind it is measured');
});

test('a mutant whose place runs, but that no test notices, has survived', { skip }, async () => {
  const { result } = await fate('survived', ['src/near/passes-by.test.ts', 'src/near/elsewhere.test.ts']);

  assert.deepEqual([result?.fate, result?.by], ['survived', undefined]);
});

test('a mutant in a place that no test executes is told apart', { skip }, async () => {
  assert.equal((await fate('other', ['src/near/elsewhere.test.ts'])).result?.fate, 'not executed');
  assert.equal((await fate('none', [])).result?.fate, 'not executed');
});

test('nothing is claimed of a mutant if a test near it fails unchanged', { skip }, async () => {
  const { result } = await fate('failing', ['src/near/fails.test.ts', 'src/near/passes-by.test.ts']);

  assert.equal(result?.fate, 'not tried');
});

test('tests elsewhere are measured up to their limit, and nothing when the time is over', {
  skip,
}, async () => {
  const far = ['src/far/notices.test.ts'] as const;

  const limited = await fate('limited', far, { maxOthers: 0 });
  const killed = await fate('far', far);
  const late = await fate('late', far, { inTime: () => false });

  assert.deepEqual([limited.result?.fate, limited.measured], ['not executed', []]);
  assert.deepEqual([killed.result?.fate, killed.result?.by], ['killed', 'src/far/notices.test.ts']);
  assert.deepEqual([late.result, late.measured], [undefined, []]);
});
