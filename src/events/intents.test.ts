import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { until } from '#testkit/until';
import { type Intent, Intents } from './intents.ts';

const moved = (reference: string, oldValue: string | null = null): Intent => ({
  ...{ kind: 'references', relativePath: 'a.git', after: 1 },
  values: { [reference]: oldValue },
});

function started() {
  const scratch = makeScratchDirectory('intents');
  const directory = join(scratch, 'intents');
  const problems: unknown[] = [];
  const open = () => new Intents(directory, (error) => void problems.push(error));
  const names = () => readdirSync(directory);
  const lines = () => names().map((name) => readFileSync(join(directory, name), 'utf8'));
  const left = async () => (await open().left()).intents;
  return {
    directory,
    problems,
    open,
    names,
    lines,
    left,
    [Symbol.dispose]: () => rmSync(scratch, { recursive: true }),
  };
}

test('an intent is left until it is cleared, and its file is used again', async () => {
  using fixture = started();
  const { directory, left, lines, open, problems } = fixture;
  await using intents = open();

  const first = await intents.write(moved('refs/heads/a-long-name'));
  assert.deepEqual(await left(), [moved('refs/heads/a-long-name')]);
  intents.clear(first);
  await until(() => lines().every((line) => line.startsWith('\n')));
  assert.deepEqual(await left(), []);

  const second = await intents.write(moved('x'));
  assert.equal(second.path, first.path);
  assert.deepEqual(await left(), [moved('x')], 'what is behind it does not count');
  const other = await intents.write(moved('y'));
  assert.notEqual(other.path, first.path);
  assert.equal(readdirSync(directory).length, 2);
  for (const file of [second, other]) await intents.leave(file);
  assert.deepEqual(problems, []);
});

test('the end removes what is cleared, and leaves the rest', async () => {
  using fixture = started();
  const { left, names, lines, open } = fixture;
  const intents = open();
  const [first, second] = [await intents.write(moved('x')), await intents.write(moved('y'))];

  intents.clear(first);
  await intents[Symbol.asyncDispose]();
  assert.equal(lines().length, 1);
  assert.deepEqual(await left(), [moved('y')]);
  intents.clear(second);
  await until(() => names().length === 0);
});

test('an intent that was written over another one in part is none', async () => {
  using fixture = started();
  const { left, open, directory } = fixture;
  const intents = open();
  const old = await intents.write(moved('refs/heads/main', '1'.repeat(40)));
  const line = readFileSync(old.path, 'latin1');
  const next = await intents.write(moved('refs/heads/main', '2'.repeat(40)));
  const other = readFileSync(next.path, 'latin1');
  await intents.leave(old);
  await intents.leave(next);
  // Both have the same length, so that each mixture is JSON.
  assert.equal(line.length, other.length);

  for (const cut of [1, 9, 20, line.length - 60, line.length - 30, line.length - 1]) {
    writeFileSync(old.path, other.slice(0, cut) + line.slice(cut));
    const found = (await left()).map(({ values }) => values?.['refs/heads/main']?.[0]);
    assert.deepEqual(found.sort(), cut === line.length - 1 ? ['2', '2'] : ['2'], `${cut}`);
  }
  await open().forget(readdirSync(directory).map((name) => join(directory, name)));
  assert.deepEqual(readdirSync(directory), []);
});

test('large files, and those of many changes at once, are not kept', async () => {
  using fixture = started();
  const { names, lines, open } = fixture;
  await using intents = open();
  intents.clear(await intents.write(moved('x'.repeat(70_000))));
  await until(() => names().length === 0);

  const files = await Promise.all(
    Array.from({ length: 80 }, (_, number) => intents.write(moved(`${number}`))),
  );
  for (const file of files) intents.clear(file);

  await until(() => names().length === 64);
  await until(() => lines().every((line) => line.startsWith('\n')));
});

// One odd file prevented the start of the change feed.
test('an intent that cannot be read is reported and kept, and the others are read', async () => {
  using fixture = started();
  const { directory, open, problems } = fixture;
  await using intents = open();
  await intents.leave(await intents.write(moved('x')));
  mkdirSync(join(directory, 'odd.json'));

  const { files, intents: left } = await open().left();
  await open().forget(files);

  assert.deepEqual(left, [moved('x')]);
  assert.deepEqual(readdirSync(directory), ['odd.json']);
  assert.match(String(problems), /odd\.json/);
});
