import assert from 'node:assert/strict';
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { run } from '#testkit/run-program';
import { ReloadedFiles } from './reloaded-files.ts';

function files(context: TestContext): { path: string; write: (text: string) => void } {
  const directory = mkdtempSync(join(tmpdir(), 'reloaded-'));
  context.after(() => rmSync(directory, { recursive: true, force: true }));
  const path = join(directory, 'file');
  const write = (text: string): void => {
    writeFileSync(`${path}.new`, text);
    renameSync(`${path}.new`, path);
  };
  return { path, write };
}

function parse([contents]: readonly Buffer[]): string {
  const text = String(contents);
  if (text === 'wrong') throw new Error('wrong contents');
  return text;
}

/** The files are checked once a second. */
const LOOK_MS = 1050;

test('a change is loaded; an invalid one is reported once and the previous value stays', async (context) => {
  const { path, write } = files(context);
  const problems: unknown[] = [];
  write('one');
  const reloaded = await ReloadedFiles.open({
    paths: [path],
    parse,
    onProblem: (error) => problems.push(error),
  });
  assert.equal(await reloaded.current(), 'one');

  write('two');
  await delay(LOOK_MS);
  assert.deepEqual(await Promise.all([reloaded.current(), reloaded.current()]), ['two', 'two']);

  write('wrong');
  for (let look = 0; look < 2; look++) {
    await delay(LOOK_MS);
    assert.equal(await reloaded.current(), 'two');
  }
  assert.deepEqual(problems.map(String), ['Error: wrong contents']);

  rmSync(path);
  for (let look = 0; look < 2; look++) {
    await delay(LOOK_MS);
    assert.equal(await reloaded.current(), 'two');
  }
  assert.equal(problems.length, 2);
  assert.match(String(problems[1]), /ENOENT/);

  write('three');
  await delay(LOOK_MS);
  assert.equal(await reloaded.current(), 'three');
});

/** Changes the file of its argument, and looks at it while this process has no descriptor left. */
const WITHOUT_DESCRIPTORS = `
import { closeSync, openSync, renameSync, writeFileSync } from 'node:fs';
import { ReloadedFiles } from ${JSON.stringify(import.meta.resolve('./reloaded-files.ts'))};
const [path] = process.argv.slice(1);
const problems = [];
const onProblem = ({ code }) => problems.push(code);
const files = await ReloadedFiles.open({ paths: [path], parse: String, onProblem });
writeFileSync(path + '.new', 'two');
renameSync(path + '.new', path);
const held = [];
try {
  for (;;) held.push(openSync('/dev/null'));
} catch {}
const during = [await files.refreshed(), await files.refreshed()];
for (const fd of held) closeSync(fd);
console.log(JSON.stringify({ during, after: await files.refreshed(), problems }));`;

// Born failing: a user who was removed could log in until the file was changed once more.
test('a change that cannot be read for a moment is loaded later, and reported once', async (context) => {
  const { path, write } = files(context);
  write('one');

  const script = ['--conditions=source', '--input-type=module', '--eval', WITHOUT_DESCRIPTORS, path];
  const { stderr, stdout } = await run('/bin/sh', [
    ...['-c', 'ulimit -n 64; exec "$@"', 'sh', process.execPath],
    ...script,
  ]);

  assert.equal(stderr, '');
  assert.deepEqual(JSON.parse(stdout), { during: ['one', 'one'], after: 'two', problems: ['EMFILE'] });
});

test('at the start the files must exist and be valid', async (context) => {
  const { path, write } = files(context);
  const open = () => ReloadedFiles.open({ paths: [path], parse, onProblem: () => {} });

  await assert.rejects(open(), /ENOENT/);
  write('wrong');
  await assert.rejects(open(), /wrong contents/);
});
