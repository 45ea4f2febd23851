import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { never, until } from '#testkit/until';
import { followFiles } from './follow-files.ts';
import { ReloadedFiles } from './reloaded-files.ts';

async function followed(context: TestContext, lookEveryMs: number) {
  const directory = mkdtempSync(join(tmpdir(), 'followed-'));
  context.after(() => rmSync(directory, { recursive: true, force: true }));
  const path = join(directory, 'file');
  writeFileSync(path, 'one');
  const files = await ReloadedFiles.open({
    paths: [path],
    parse: (contents) => ({ text: String(contents[0]) }),
    onProblem: () => {},
  });
  const applied: string[] = [];
  const following = await followFiles(files, ({ text }) => applied.push(text), { lookEveryMs });
  context.after(() => following[Symbol.dispose]());
  return { path, applied, following };
}

test('renew applies a change at once, and without a change does nothing', async (context) => {
  const { path, applied, following } = await followed(context, 3_600_000);

  await following.renew();
  writeFileSync(path, 'the second');
  await following.renew();
  await following.renew();

  assert.deepEqual(applied, ['the second']);
});

test('changes are applied automatically until it is disposed', async (context) => {
  const { path, applied, following } = await followed(context, 5);

  writeFileSync(path, 'the second');
  await until(() => applied.length > 0);
  following[Symbol.dispose]();
  writeFileSync(path, 'the third one');

  await never(() => applied.length > 1);
  assert.deepEqual(applied, ['the second']);
});

test('a change that is being read when it is disposed is not applied', async (context) => {
  const { path, applied, following } = await followed(context, 3_600_000);
  writeFileSync(path, 'the second');

  const renewed = following.renew();
  following[Symbol.dispose]();
  await renewed;

  assert.deepEqual(applied, []);
});

// The interval rejected without a handler, which stopped the server.
test('a value that cannot be applied is reported, and the next one is applied', async (context) => {
  const directory = mkdtempSync(join(tmpdir(), 'followed-'));
  context.after(() => rmSync(directory, { recursive: true, force: true }));
  const path = join(directory, 'file');
  writeFileSync(path, 'one');
  const problems: unknown[] = [];
  const files = await ReloadedFiles.open({
    paths: [path],
    parse: (contents) => ({ text: String(contents[0]) }),
    onProblem: (error) => problems.push(error),
  });
  const applied: string[] = [];
  const apply = ({ text }: { readonly text: string }): void => {
    if (text === 'the second') throw new Error('unusable');
    applied.push(text);
  };
  using following = await followFiles(files, apply, { lookEveryMs: 3_600_000 });

  for (const text of ['the second', 'the third one']) {
    writeFileSync(path, text);
    await following.renew();
  }

  assert.equal(String(problems), 'Error: unusable');
  assert.deepEqual(applied, ['the third one']);
});
