import assert from 'node:assert/strict';
import { globSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { stripVTControlCharacters } from 'node:util';
import { processesIn } from '#testkit/measure/process-usage';
import { until } from '#testkit/until';
import { runParts } from './run-parts.ts';
import { SOAK_PARTS, type SoakPart, USUAL_HOURS } from './soak-parts.ts';

const FILES = {
  figures: `test('counts', (context) => context.diagnostic('17 calls of 3 methods'));`,
  fails: `test('breaks', () => { throw new Error('broken on purpose'); });`,
  length: `test('reads its length', (context) => context.diagnostic('soak of ' + process.env.GITALY_SOAK));`,
  skips: `test('needs more', { skip: 'no PostgreSQL here' }, () => {});`,
  hangs: `import { spawn } from 'node:child_process';
    test('hangs', async () => {
      spawn('sleep', ['600']);
      await new Promise(() => setInterval(() => {}, 100));
    });`,
};

async function runAll(
  context: TestContext,
  names: readonly (keyof typeof FILES)[],
  { factor = 1, startMs = 60_000, signal = new AbortController().signal } = {},
) {
  const cwd = mkdtempSync(join(tmpdir(), 'run-parts-'));
  context.after(() => rmSync(cwd, { recursive: true }));
  for (const [name, text] of Object.entries(FILES))
    writeFileSync(join(cwd, `${name}.test.mjs`), `import { test } from 'node:test';\n${text}`);
  const parts: SoakPart[] = names.map((name) => ({ name, minutes: 0, files: [`${name}.test.mjs`] }));
  const { NODE_TEST_CONTEXT: _, GITALY_SOAK: __, ...env } = process.env;
  const lines: string[] = [];
  const kept: string[] = [];
  const hasPassed = await runParts(parts, {
    cwd,
    env,
    nodeOptions: [],
    factor,
    startMs,
    signal,
    keep: ({ name }) => kept.push(name),
    print: (line) => lines.push(stripVTControlCharacters(line)),
  });
  return { cwd, hasPassed, lines, kept };
}

test('each part prints a line with its figures, and those after a failed one run, too', async (context) => {
  const { hasPassed, lines, kept } = await runAll(context, ['fails', 'figures', 'length', 'skips'], {
    factor: 2,
  });

  assert.equal(hasPassed, false);
  assert.deepEqual(kept, ['fails', 'figures', 'length', 'skips']);
  assert.match(lines[0] ?? '', /^✖ fails: 0\.\d min; 1 test$/);
  assert.match(lines[1] ?? '', /^✔ figures: 0\.\d min; 1 test; 17 calls of 3 methods$/);
  assert.match(lines[2] ?? '', /; soak of 2$/);
  const table = lines.slice(lines.indexOf('') + 1);
  assert.match(table[1] ?? '', /^fails +FAILED /);
  assert.match(table[2] ?? '', /^figures +passed /);
  assert.match(table[4] ?? '', /^skips +passed .* 1$/);
  const text = table.join('\n');
  assert.match(text, /no PostgreSQL here/);
  assert.match(text, /✖ fails\nfails\.test\.mjs\n(?:.*\n)*?.*broken on purpose/);
  assert.match(text, /\nFailed: fails \(1 of 4 parts\)$/);
});

test('a part that takes too long is ended with what it has started, and fails', async (context) => {
  const { cwd, hasPassed, lines } = await runAll(context, ['hangs', 'figures'], { startMs: 2500 });

  assert.equal(hasPassed, false);
  assert.match(lines[0] ?? '', /^✖ hangs: .*It was ended after 0\.0 min, in hangs\.test\.mjs\.$/);
  assert.match(lines[1] ?? '', /^✔ figures/);
  await until(() => processesIn(cwd).length === 0);
});

test('an interrupted run fails, and names the parts that it has not run', async (context) => {
  const { hasPassed, lines } = await runAll(context, ['hangs', 'figures'], {
    signal: AbortSignal.timeout(2500),
  });

  assert.equal(hasPassed, false);
  assert.equal(lines.at(-1), 'Interrupted. Not run to the end: hangs figures');
});

test('a run without failures passes', async (context) => {
  const { hasPassed, lines } = await runAll(context, ['figures']);

  assert.equal(hasPassed, true);
  assert.equal(lines.at(-1), 'Passed: all of 1 parts');
});

test('the parts of the soak have files, different names, and fit into its length', () => {
  for (const { name, files } of SOAK_PARTS)
    for (const pattern of files)
      assert.ok(
        globSync(pattern, { cwd: join(import.meta.dirname, '../..') }).length > 0,
        `${name}: ${pattern}`,
      );
  assert.equal(new Set(SOAK_PARTS.map(({ name }) => name)).size, SOAK_PARTS.length);
  const minutes = SOAK_PARTS.reduce((total, part) => total + part.minutes, 0);
  assert.ok(minutes <= USUAL_HOURS * 60, `${minutes} minutes`);
});
