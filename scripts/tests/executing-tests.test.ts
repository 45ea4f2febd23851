import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { hashOf, recordOf } from './executed-code.ts';
import { executingTests, type Hunk, type SourceChange, sourceChange } from './executing-tests.ts';

const BEFORE = [
  "import { x } from './x.ts';",
  '/** Adds one. */',
  'export const one = 1;',
  'export function add(a: number): number {',
  '  return a + one;',
  '}',
  'export function other(): void {',
  '  x();',
  '}',
  '',
].join('\n');
const SOURCES = new Map([
  ['src/a.ts', BEFORE],
  ['src/a.test.ts', "import { add } from './a.ts';\n"],
  ['src/b.test.ts', "import { other } from './a.ts';\n"],
  ['src/new.test.ts', "import { add } from './a.ts';\n"],
  ['test/far.test.ts', ''],
]);
/** The functions of the file, as V8 reports their positions. */
const ADD = `${BEFORE.indexOf('function add')},${BEFORE.indexOf('}\nexport function other') + 1}`;
const OTHER = `${BEFORE.indexOf('function other')},${BEFORE.length - 1}`;

/** Returns the change of some lines of the file to others. */
function change(first: number, removed: number, ...added: readonly string[]): SourceChange {
  const lines = BEFORE.split('\n');
  const at = removed === 0 ? first : first - 1;
  lines.splice(at, removed, ...added);
  const after = { first: added.length === 0 ? at : at + 1, count: added.length };
  const hunk: Hunk = { before: { first, count: removed }, after };
  return sourceChange('src/a.ts', BEFORE, lines.join('\n'), [hunk]);
}

/** Returns the tests of a change, if three of the four have a record. */
function testsOf(context: TestContext, of: SourceChange, hash = hashOf(BEFORE)): string[] {
  const directory = mkdtempSync(join(tmpdir(), 'records-'));
  context.after(() => rmSync(directory, { recursive: true }));
  for (const [name, borders] of [
    ['src/a.test.ts', ADD],
    ['src/b.test.ts', OTHER],
    ['test/far.test.ts', ADD],
  ] as const) {
    const record = `${hashOf(SOURCES.get(name) ?? '')}\nsrc/a.ts ${hash} ${borders}\n`;
    writeFileSync(recordOf(name, directory), record);
  }
  return [...executingTests(SOURCES, ['src/a.ts'], new Map([['src/a.ts', of]]), directory).keys()].sort();
}

const UNRECORDED = 'src/new.test.ts';

for (const [name, of, expected] of [
  ['in a function', change(5, 1, '  return a - one;'), ['src/a.test.ts', UNRECORDED, 'test/far.test.ts']],
  ['that adds to a function', change(7, 0, '  x();'), ['src/b.test.ts', UNRECORDED]],
  [
    'outside of functions',
    change(3, 1, 'export const one = 2;'),
    ['src/a.test.ts', 'src/b.test.ts', UNRECORDED, 'test/far.test.ts'],
  ],
  ['of a comment', change(2, 1, '/** Adds 1. */'), [UNRECORDED]],
  ['of an import', change(1, 1, "import { x } from './y.ts';"), [UNRECORDED]],
  ['that adds a function', change(9, 0, 'function third(): void {}'), [UNRECORDED]],
] as const)
  test(`a change ${name} is tested by what executes it, and by what has no record`, (context) => {
    assert.deepEqual(testsOf(context, of), expected);
  });

test('whatever executes a file is a test of its change, if the record is of another version', (context) => {
  const of = change(5, 1, '  return a - one;');

  assert.deepEqual(testsOf(context, of, 'other'), [
    'src/a.test.ts',
    'src/b.test.ts',
    UNRECORDED,
    'test/far.test.ts',
  ]);
});

test('the record of a test that has changed does not count', (context) => {
  const directory = mkdtempSync(join(tmpdir(), 'records-'));
  context.after(() => rmSync(directory, { recursive: true }));
  writeFileSync(recordOf('src/b.test.ts', directory), `other\nsrc/a.ts ${hashOf(BEFORE)} ${OTHER}\n`);
  const changes = new Map([['src/a.ts', change(5, 1, '  return a - one;')]]);

  assert.ok(executingTests(SOURCES, ['src/a.ts'], changes, directory).has('src/b.test.ts'));
});
