// Own process: it replaces functions of node:fs before other modules keep them

import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { observeFlushes } from '#testkit/measure/flushes';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { deadOwnerSuffix, ownerSuffix } from '../process-identity.ts';
import { createFile, isLeftDraft, replaceFile } from './replace-file.ts';

function scratch(context: TestContext): { directory: string; file: string } {
  const directory = makeScratchDirectory('replace');
  context.after(() => rmSync(directory, { recursive: true }));
  return { directory, file: join(directory, 'file') };
}

for (const [name, call, step] of [
  ['replaced', replaceFile, 'move'],
  ['created', createFile, 'link'],
] as const) {
  test(`a durable file is on disk before it is ${name}, and then its directory`, async (context) => {
    const { directory, file } = scratch(context);
    const events = await observeFlushes(context);

    await call(file, 'content', { durable: true });

    const draft = /^flush (\S+)$/.exec(events[0] ?? '')?.[1];
    assert.match(draft ?? '', /file\.draft-[0-9a-f]+\./);
    assert.deepEqual(events.slice(1), [`${step} ${draft} ${file}`, `flush ${directory}`]);
    assert.deepEqual(readdirSync(directory), ['file']);
  });

  test(`a file that need not be durable is ${name} without a flush`, async (context) => {
    const { file } = scratch(context);
    const events = await observeFlushes(context);

    await call(file, 'content', { durable: false });

    assert.deepEqual(
      events.map((event) => event.split(' ')[0]),
      [step],
    );
    assert.equal(readFileSync(file, 'utf8'), 'content');
    assert.equal(statSync(file).mode & 0o777, 0o600);
  });
}

test('concurrent replacements each leave a whole file', async (context) => {
  const { directory, file } = scratch(context);
  const contents = Array.from({ length: 20 }, (_, index) => String(index % 10).repeat(100_000));

  await Promise.all(contents.map((each) => replaceFile(file, each, { durable: false })));

  assert.ok(contents.includes(readFileSync(file, 'utf8')));
  assert.deepEqual(readdirSync(directory), ['file']);
});

test('a file that exists is not created again', async (context) => {
  const { directory, file } = scratch(context);
  writeFileSync(file, 'old');

  assert.equal(await createFile(file, 'new', { durable: true }), false);

  assert.equal(readFileSync(file, 'utf8'), 'old');
  assert.deepEqual(readdirSync(directory), ['file']);
});

test('a file that cannot be replaced leaves no draft', async (context) => {
  const { directory, file } = scratch(context);
  mkdirSync(file);

  await assert.rejects(replaceFile(file, 'new', { durable: false }), { code: 'EISDIR' });
  await assert.rejects(replaceFile(join(file, 'a/b'), '', { durable: false }), { code: 'ENOENT' });

  assert.deepEqual(readdirSync(directory), ['file']);
});

test('a draft that cannot be completed is removed', async (context) => {
  const { directory, file } = scratch(context);
  const noUser = { durable: true, owner: { uid: 2 ** 32, gid: 0 } };

  for (const call of [replaceFile, createFile])
    await assert.rejects(call(file, 'new', noUser), { code: 'ERR_OUT_OF_RANGE' });

  assert.deepEqual(readdirSync(directory), []);
});

test('what killed processes left of a file is removed by the next replacement', async (context) => {
  const { directory, file } = scratch(context);
  const ofAnotherBoot = '.00000000.7.7';
  const left = ['file.draft-a', `file.draft-b${deadOwnerSuffix(7)}`, `file.draft-c${ofAnotherBoot}`];
  const kept = [
    `file.draft-d${ownerSuffix()}`,
    `file.draft-e${ofAnotherBoot}`,
    `other.draft-f${deadOwnerSuffix(7)}`,
  ];
  for (const name of [...left, ...kept]) writeFileSync(join(directory, name), '');
  const hoursAgo = Date.now() / 1000 - 2 * 60 * 60;
  for (const name of left) utimesSync(join(directory, name), hoursAgo, hoursAgo);

  await replaceFile(file, 'first', { durable: false, removesLeft: false });
  assert.deepEqual(readdirSync(directory).sort(), ['file', ...left, ...kept].sort());
  assert.equal(await isLeftDraft(file), false);
  assert.equal(await isLeftDraft(join(directory, left[1] ?? '')), true);

  await replaceFile(file, 'second', { durable: false });
  assert.deepEqual(readdirSync(directory).sort(), ['file', ...kept].sort());
});
