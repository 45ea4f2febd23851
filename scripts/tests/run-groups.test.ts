import assert from 'node:assert/strict';
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { stripVTControlCharacters } from 'node:util';
import type { TestGroup } from './classes.ts';
import { Durations } from './durations.ts';
import { RECORDS, recordOf } from './executed-code.ts';
import { FlakyFiles } from './flaky-files.ts';
import { type RunGroupsOptions, runGroups } from './run-groups.ts';

const IMPORTS = `import { after, afterEach, before, describe, test } from 'node:test';
  import { existsSync, writeFileSync } from 'node:fs';
`;
const PASSES = `test('passes', () => {});`;
const ODD_NAMES = `for (const name of ['\\u2028', '\\n', '\\r', '\\ud800', 'x'.repeat(100_000)])
  test(name, () => {});`;
const BLOCKS = `test('blocks', () => void Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0));`;
const FAILS = `test('fails', () => { throw new Error('broken'); });`;
/** Fails when it runs for the first time. */
const failsOnce = (name: string) =>
  `test('fails once', () => {
     if (existsSync('${name}.ran')) return;
     writeFileSync('${name}.ran', '');
     throw new Error('too early');
   });`;

/** Runs files of tests in a new directory, in one process; returns what is printed, without colors. */
async function runTexts(
  context: TestContext,
  texts: Readonly<Record<string, string>>,
  options: Partial<
    RunGroupsOptions & Pick<TestGroup, 'timeoutMs' | 'spareProcesses'> & { groups: readonly string[] }
  > = {},
) {
  const cwd = realpathSync(mkdtempSync(join(tmpdir(), 'run-groups-')));
  context.after(() => rmSync(cwd, { recursive: true }));
  for (const [name, text] of Object.entries(texts)) {
    mkdirSync(dirname(join(cwd, name)), { recursive: true });
    const [head, body] = text.startsWith('//')
      ? [text.split('\n', 1)[0], text.replace(/^.*\n/, '')]
      : ['', text];
    writeFileSync(join(cwd, name), `${head}\n${IMPORTS}${body}`);
  }
  const { NODE_TEST_CONTEXT: _, CI: __, ...env } = process.env;
  const lines: string[] = [];
  const { timeoutMs = 10_000, spareProcesses = 0 } = options;
  const { groups = ['**/*.test.mjs'] } = options;
  const { hasPassed } = await runGroups(
    groups.map((files) => ({ files: [files], processes: 1, spareProcesses, timeoutMs })),
    {
      cwd,
      env,
      nodeOptions: [],
      isWanted: () => true,
      isVerbose: false,
      isContinuous: false,
      isOldGit: false,
      durations: new Durations(join(cwd, 'durations.json')),
      flakyFiles: new FlakyFiles(join(cwd, 'flaky.jsonl')),
      signal: new AbortController().signal,
      print: (line) => lines.push(stripVTControlCharacters(line)),
      ...options,
    },
  );
  const printed = lines.join('\n');
  /** Passed and failed runs of each file: `+a -b`. */
  const marks = [...printed.matchAll(/^([✔✖]) (\S+)\.test\.mjs: /gm)]
    .map(([, mark, name]) => `${mark === '✔' ? '+' : '-'}${name}`)
    .join(' ');
  return { cwd, hasPassed, printed, marks };
}

test('files share a process, and their hooks are their own', async (context) => {
  const pid = (name: string) => `test('${name}', () => console.log('${name} in', process.pid));`;
  const { hasPassed, printed, marks } = await runTexts(context, {
    'a.test.mjs': `before(() => console.log('BEFORE')); afterEach(() => console.log('EACH')); ${pid('one')}`,
    'b.test.mjs': `${pid('two')} describe('suite', () => { test('inner', () => {}); });`,
    'c.test.mjs': `// Own process: it measures memory\n${pid('three')}`,
  });

  assert.equal(hasPassed, true);
  assert.equal(marks, '+a +b +c');
  const pids = [...printed.matchAll(/ in (\d+)/g)].map(([, each]) => each);
  assert.equal(pids[0], pids[1]);
  assert.notEqual(pids[1], pids[2]);
  assert.equal(printed.match(/BEFORE/g)?.length, 1);
  assert.equal(printed.match(/EACH/g)?.length, 1);
});

test('each file leaves a record of what it and its processes execute', async (context) => {
  const source = 'export function one() {}\nexport function two() {}\n';
  const { cwd, hasPassed } = await runTexts(
    context,
    {
      'src/a.ts': source,
      'src/child.ts': `import { two } from './a.ts';\ntwo();\n`,
      'a.test.mjs': `import { one } from './src/a.ts'; test('calls', () => one());`,
      'b.test.mjs': `import { spawnSync } from 'node:child_process'; import './src/a.ts';
        test('starts', () => void spawnSync(process.execPath, ['src/child.ts']));`,
    },
    { env: { ...process.env, CI: '', TEST_RECORD: '1' } },
  );

  assert.ok(hasPassed);
  const text = readFileSync(join(cwd, 'src/a.ts'), 'utf8');
  const executed = (test: string): string[] => {
    const record = readFileSync(recordOf(test, join(cwd, RECORDS)), 'utf8');
    const borders = /^src\/a\.ts \S+ (\S*)$/m.exec(record)?.[1]?.split(',').map(Number) ?? [];
    return borders.flatMap((start, index) =>
      index % 2 === 0 ? [text.slice(start, borders[index + 1])] : [],
    );
  };
  assert.deepEqual(executed('a.test.mjs'), ['function one() {}']);
  assert.deepEqual(executed('b.test.mjs'), ['function two() {}']);
});

test('a file more runs while cores are idle', async (context) => {
  /** Waits until the other file has started, which it does only if both run at a time. */
  const meets = (name: string, other: string) =>
    `test('meets', async () => {
       writeFileSync('${name}.started', '');
       while (!existsSync('${other}.started')) await new Promise((resolve) => setTimeout(resolve, 5));
     });`;
  const pid = "test('pid', () => console.log('runs in', process.pid));";

  const idle = await runTexts(
    context,
    { 'a.test.mjs': meets('a', 'b'), 'b.test.mjs': meets('b', 'a') },
    { spareProcesses: 1, areCoresIdle: () => true },
  );
  const busy = await runTexts(
    context,
    { 'a.test.mjs': pid, 'b.test.mjs': pid },
    { spareProcesses: 1, areCoresIdle: () => false },
  );

  assert.equal(idle.hasPassed, true, idle.printed);
  assert.equal(busy.marks, '+a +b');
  assert.equal(new Set(busy.printed.match(/ in \d+/g)).size, 1);
});

// readline ended a message at U+2028, and the run with it.
test('tests can have any names', async (context) => {
  const { hasPassed, printed } = await runTexts(context, { 'a.test.mjs': ODD_NAMES });

  assert.equal(hasPassed, true);
  assert.match(printed, /a\.test\.mjs: 5 tests/);
});

test('a file that replaces the clock ends with its tests', { timeout: 10_000 }, async (context) => {
  const { hasPassed } = await runTexts(context, {
    'a.test.mjs': `test('clock', async (context) => {
        context.mock.timers.enable({ apis: ['setTimeout'] });
        for (let turn = 0; turn < 100; turn++) await new Promise((resolve) => setImmediate(resolve));
      });`,
  });

  assert.equal(hasPassed, true);
});

test('a file that fails once is run again alone, and reported as flaky', async (context) => {
  const { hasPassed, printed, marks } = await runTexts(context, {
    'a.test.mjs': failsOnce('a'),
    'b.test.mjs': PASSES,
  });

  assert.equal(hasPassed, true);
  assert.equal(marks, '-a +b +a');
  assert.match(printed, /too early/);
  assert.match(printed, /passed only when run again: 1 [^\n]*\n {2}flaky: a\.test\.mjs/);
});

test('a file that fails twice fails the run', async (context) => {
  const { hasPassed, printed, marks } = await runTexts(context, {
    'a.test.mjs': FAILS,
    'b.test.mjs': PASSES,
  });

  assert.equal(hasPassed, false);
  assert.equal(marks, '-a +b -a');
  assert.match(printed, /passed only when run again: 0 /);
  const end = printed.slice(printed.indexOf('passed only when'));
  assert.match(end, /^✖ a\.test\.mjs\n.*\n✖ fails .*\n +Error: broken\n/m, 'the reason is repeated');
});

test('a file that searches for lost data is not run again', async (context) => {
  const { hasPassed, printed, marks } = await runTexts(context, {
    'test/faults/a.test.mjs': failsOnce('a'),
    'b.test.mjs': failsOnce('b'),
  });

  assert.equal(hasPassed, false);
  assert.equal(marks, '-test/faults/a -b');
  assert.match(printed, /not run again: .*\nThese search for lost data: test\/faults\/a\.test\.mjs/);
});

for (const [where, isContinuous] of [
  ['in CI', true],
  ['on a machine of a developer', false],
] as const)
  test(`a file that was flaky before is named with that run, ${where}`, async (context) => {
    const directory = mkdtempSync(join(tmpdir(), 'flaky-'));
    context.after(() => rmSync(directory, { recursive: true }));
    const flakyFiles = new FlakyFiles(join(directory, 'flaky.jsonl'));
    flakyFiles.add(['a.test.mjs'], '42');
    appendFileSync(join(directory, 'flaky.jsonl'), '{"file":');

    const texts = { 'a.test.mjs': failsOnce('a'), 'b.test.mjs': PASSES };
    const { hasPassed, printed } = await runTexts(context, texts, { flakyFiles, isContinuous });

    assert.match(printed, /\n {2}flaky before: a\.test\.mjs, at [0-9a-f]{12} with TEST_SEED=42\n/);
    assert.equal(hasPassed, !isContinuous);
  });

test('more than two flaky files fail the run', async (context) => {
  const { hasPassed, printed } = await runTexts(context, {
    'a.test.mjs': failsOnce('a'),
    'b.test.mjs': failsOnce('b'),
    'c.test.mjs': failsOnce('c'),
  });

  assert.equal(hasPassed, false);
  assert.match(printed, /passed only when run again: 3 \(at most 2\)/);
});

test('a file that ends the process has failed, and the others have their results', async (context) => {
  const { hasPassed, printed, marks } = await runTexts(context, {
    'a.test.mjs': PASSES,
    'b.test.mjs': `test('waits', () => new Promise((resolve) => setTimeout(resolve, 100)));
      test('killed', () => process.kill(process.pid, 'SIGKILL'));`,
    'c.test.mjs': `test('exits', () => process.exit(7));`,
    'd.test.mjs': PASSES,
  });

  assert.equal(hasPassed, false);
  assert.equal(marks, '+a -b -c +d -b -c');
  assert.match(printed, /ended \(SIGKILL\) in the test "(?:waits|killed)"/);
  assert.match(printed, /ended \(exit code 7\) in its first test or before/);
});

test('a process that a test blocks is killed', async (context) => {
  const { hasPassed, printed, marks } = await runTexts(
    context,
    { 'a.test.mjs': BLOCKS, 'b.test.mjs': PASSES },
    { timeoutMs: 2500 },
  );

  assert.equal(hasPassed, false);
  assert.equal(marks, '-a +b -a');
  assert.match(printed, /has not responded in its first test or before/);
});

test('a file that keeps its process running has failed, and the next one runs', async (context) => {
  const { hasPassed, printed, marks } = await runTexts(
    context,
    { 'a.test.mjs': `${PASSES} setInterval(() => {}, 1000);`, 'b.test.mjs': PASSES },
    { timeoutMs: 2500 },
  );

  assert.equal(hasPassed, false);
  assert.equal(marks, '-a +b -a');
  assert.match(printed, /does not end after the last test: it still has .*Timeout/);
});

test('failures outside tests fail the file', async (context) => {
  const { hasPassed, printed, marks } = await runTexts(context, {
    'a.test.mjs': `throw new Error('at the import');`,
    'b.test.mjs': `${PASSES} setTimeout(() => { throw new Error('late'); }, 10);`,
    'c.test.mjs': '',
    'd.test.mjs': `test('sets', () => { process.env.LEFT_BEHIND = '1'; Date.now = () => 1; });`,
    'e.test.mjs': PASSES,
    'f.test.mjs': `test('unseen', async () => {
        await undefined;
        void Promise.reject(new Error('unhandled'));
        await new Promise((resolve) => setImmediate(resolve));
      });`,
  });

  assert.equal(hasPassed, false);
  assert.equal(marks, '-a -b -c -d +e -f -a -b -c -d -f');
  assert.match(printed, /at the import/);
  assert.match(printed, /Error: unhandled/);
  assert.match(printed, /The file has no tests/);
  assert.match(printed, /leaves changes for the next file in the process: Date\.now, LEFT_BEHIND/);
});

test('skipped tests are counted, and fail a continuous run without an accepted reason', async (context) => {
  const texts = {
    'a.test.mjs': `test('declared', { skip: 'no reason' }, () => {}); test('x', { skip: true });`,
  };
  const { hasPassed, printed } = await runTexts(context, texts);
  assert.equal(hasPassed, true);
  assert.match(printed, / 1 × no reason\n {2}1 × no reason given/);

  const strict = await runTexts(context, texts, { isContinuous: true });
  assert.equal(strict.hasPassed, false);
  assert.match(strict.printed, /not accepted: a\.test\.mjs: declared: no reason/);
});

test('the longest files of the last run start first', async (context) => {
  const file = join(realpathSync(mkdtempSync(join(tmpdir(), 'run-groups-'))), 'durations.json');
  context.after(() => rmSync(dirname(file), { recursive: true }));
  const durations = new Durations(file);
  durations.add('short', 1);
  durations.add('long', 60_000);
  durations.save();

  assert.ok(existsSync(file));
  assert.deepEqual(new Durations(file).longestFirst(['short', 'new', 'test/new', 'long']), [
    'long',
    'test/new',
    'new',
    'short',
  ]);
});

test('unknown files of each folder are spread over the run', () => {
  const files = ['test/one/a', 'test/one/b', 'test/one/c', 'test/one/d', 'test/two/x', 'test/two/y'];

  assert.deepEqual(new Durations('/missing').longestFirst(files), [
    'test/one/a',
    'test/two/x',
    'test/one/b',
    'test/one/c',
    'test/two/y',
    'test/one/d',
  ]);
});

test('a stopped run ends at once, and has failed', async (context) => {
  const { hasPassed, marks } = await runTexts(
    context,
    { 'a.test.mjs': `test('waits', () => new Promise((resolve) => setTimeout(resolve, 60_000)));` },
    { signal: AbortSignal.timeout(500), timeoutMs: 100_000 },
  );

  assert.equal(hasPassed, false);
  assert.equal(marks, '');
});

test('a failed group does not hide those after it', async (context) => {
  const { hasPassed, marks } = await runTexts(
    context,
    { 'one/a.test.mjs': FAILS, 'two/b.test.mjs': PASSES },
    { groups: ['one/*.test.mjs', 'two/*.test.mjs'] },
  );

  assert.deepEqual([hasPassed, marks], [false, '-one/a -one/a +two/b']);
});
