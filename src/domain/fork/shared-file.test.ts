// Own process: it replaces functions of node:fs before other modules keep them

import assert from 'node:assert/strict';
import { readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { observeFlushes } from '#testkit/measure/flushes';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { linkWhole, replaceByLink, writeShared } from './shared-file.ts';

const AT_ONCE = 50;

function scratch(context: TestContext): string {
  const directory = makeScratchDirectory('shared-file');
  context.after(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

// Symptom: of two forks at the same time one failed, "rename …: no such file or directory".
test('many links replace one file at the same time', async (context) => {
  const directory = scratch(context);
  const to = join(directory, 'to');
  const sources = Array.from({ length: AT_ONCE }, (_, index) => join(directory, `from-${index}`));
  for (const [index, source] of sources.entries()) writeFileSync(source, `${index}`);

  await Promise.all(sources.map((source) => replaceByLink(source, to)));

  assert.equal(statSync(to).ino, statSync(join(directory, `from-${readFileSync(to, 'utf8')}`)).ino);
  assert.equal(readdirSync(directory).length, AT_ONCE + 1, 'no draft is left');
});

test('equal files written at the same time are complete, and later ones share one', async (context) => {
  const directory = scratch(context);
  const shared = join(directory, 'shared');
  const names = Array.from({ length: AT_ONCE }, (_, index) => join(directory, `${index}`));

  await Promise.all(names.map((name) => writeShared(shared, name, 'content')));
  await writeShared(shared, join(directory, 'later'), 'content');

  for (const name of names) assert.equal(readFileSync(name, 'utf8'), 'content');
  const [file = '', ...others] = readdirSync(shared);
  assert.deepEqual(others, []);
  assert.equal(statSync(join(directory, 'later')).ino, statSync(join(shared, file)).ino);
});

test('a shared file is on disk before others can link it', async (context) => {
  const directory = scratch(context);
  const shared = join(directory, 'shared');
  const events = await observeFlushes(context);

  await writeShared(shared, join(directory, 'file'), 'content');

  const [name = ''] = readdirSync(shared);
  const draft = /^move (\S+) \S+$/.exec(events.at(-1) ?? '')?.[1];
  assert.deepEqual(events.slice(-2), [`flush ${draft}`, `move ${draft} ${join(shared, name)}`]);
});

// Symptom: after a power failure, all new forks had an empty config.
test('a shared file that a power failure has emptied is replaced', async (context) => {
  const directory = scratch(context);
  const shared = join(directory, 'shared');
  await writeShared(shared, join(directory, 'first'), 'content');
  const [name = ''] = readdirSync(shared);
  rmSync(join(shared, name));
  writeFileSync(join(shared, name), '');

  for (const later of ['second', 'third']) await writeShared(shared, join(directory, later), 'content');

  for (const later of ['second', 'third'])
    assert.equal(readFileSync(join(directory, later), 'utf8'), 'content');
  assert.equal(statSync(join(directory, 'third')).ino, statSync(join(shared, name)).ino);
});

test('a file that was removed meanwhile replaces nothing', async (context) => {
  const directory = scratch(context);
  const to = join(directory, 'to');
  writeFileSync(to, 'before');

  await replaceByLink(join(directory, 'removed'), to);

  assert.equal(readFileSync(to, 'utf8'), 'before');
  assert.deepEqual(readdirSync(directory), ['to']);
  assert.equal(await linkWhole(join(directory, 'removed'), join(directory, 'other'), 0), false);
});

test('a file is linked, or copied from another file system', async (context) => {
  const directory = scratch(context);
  const from = import.meta.filename;

  await replaceByLink(from, join(directory, 'to'));
  const isLinked = await linkWhole(from, join(directory, 'other'), statSync(from).size);

  assert.equal(isLinked, true);
  for (const name of ['to', 'other'])
    assert.equal(readFileSync(join(directory, name), 'utf8'), readFileSync(from, 'utf8'));
  assert.deepEqual(readdirSync(directory).sort(), ['other', 'to'], 'no draft is left');
});

test('a link replaces no other file', async (context) => {
  const directory = scratch(context);
  writeFileSync(join(directory, 'from'), 'content');

  writeFileSync(join(directory, 'to'), 'before');

  await assert.rejects(linkWhole(join(directory, 'from'), join(directory, 'to'), 7), { code: 'EEXIST' });

  assert.equal(readFileSync(join(directory, 'to'), 'utf8'), 'before');
});
