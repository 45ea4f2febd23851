// Own process: it replaces functions of node:fs before other modules keep them

import assert from 'node:assert/strict';
import {
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { observeFlushes } from '#testkit/measure/flushes';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { adoptObjects } from './adopt-objects.ts';

const { signal } = new AbortController();
const DRAFT = /tmp_obj_[\da-f-]{36}/;

/** Returns two object directories; the first has the files, each with its name as content. */
function directories(
  context: TestContext,
  files: readonly string[],
): { readonly from: string; readonly to: string } {
  const root = makeScratchDirectory('adopt');
  context.after(() => rmSync(root, { recursive: true }));
  const [from, to] = [join(root, 'from'), join(root, 'to')];
  mkdirSync(to);
  fill(from, files);
  return { from, to };
}

function fill(directory: string, files: readonly string[]): void {
  mkdirSync(directory, { recursive: true });
  for (const file of files) {
    mkdirSync(dirname(join(directory, file)), { recursive: true });
    writeFileSync(join(directory, file), file);
  }
}

/** Returns a directory where no file can be linked from a path; `undefined` if there is none here. */
function otherFileSystem(context: TestContext, path: string): string | undefined {
  const { dev } = statSync(path);
  const parent = ['/dev/shm', '/tmp', '/var/tmp'].find(
    (each) => statSync(each, { throwIfNoEntry: false })?.dev !== dev,
  );
  if (parent === undefined) return undefined;
  const directory = mkdtempSync(`${parent}/gitaly-adopt-`);
  context.after(() => rmSync(directory, { recursive: true }));
  return directory;
}

const idOf = (file: string): number => statSync(file).ino;

test('objects become links; a pack comes before the index with which git finds it', async (context) => {
  const pack = ['bitmap', 'idx', 'mtimes', 'pack', 'rev'].map((suffix) => `pack/pack-1.${suffix}`);
  const { from, to } = directories(context, ['0a/bc', 'ff/ff', ...pack]);
  const events = await observeFlushes(context);

  await adoptObjects(from, to, signal);

  const order = ['bitmap', 'mtimes', 'pack', 'rev', 'idx'].map((suffix) => `pack/pack-1.${suffix}`);
  const names = ['0a/bc', 'ff/ff', ...order];
  const links = names.map((name) => `link ${from}/${name} ${to}/${name}`);
  const flushes = ['0a', 'ff', 'pack'].map((name) => `flush ${to}/${name}`);
  assert.deepEqual(events, [...links, ...flushes]);
  for (const name of names) assert.equal(idOf(`${to}/${name}`), idOf(`${from}/${name}`));
});

test('existing objects stay as they are, and nothing is flushed for them', async (context) => {
  const { from, to } = directories(context, ['0a/bc', 'pack/pack-1.pack']);
  fill(to, ['0a/bc']);
  mkdirSync(`${to}/pack`);
  linkSync(`${from}/pack/pack-1.pack`, `${to}/pack/pack-1.pack`);
  const own = idOf(`${to}/0a/bc`);
  const events = await observeFlushes(context);

  await adoptObjects(from, to, signal);

  assert.equal(idOf(`${to}/0a/bc`), own);
  assert.deepEqual(
    events.filter((event) => event.startsWith('flush')),
    [],
  );
});

test('files that belong to one directory are left out', async (context) => {
  const others = [
    'info/alternates',
    'info/commit-graph',
    '0a/tmp_obj_x',
    '00a/b',
    'pack/multi-pack-index',
    'pack/tmp_pack_x',
    'pack/pack-1.keep',
    'pack/pack-1.pack.lock',
  ];
  const { from, to } = directories(context, ['pack/pack-1.idx', ...others]);
  writeFileSync(`${from}/0b`, 'no directory');

  await adoptObjects(from, to, signal);

  assert.equal(readFileSync(`${to}/pack/pack-1.idx`, 'utf8'), 'pack/pack-1.idx');
  for (const name of [...others, '0b'])
    assert.equal(statSync(`${to}/${name}`, { throwIfNoEntry: false }), undefined, name);
});

test('objects of another file system are copied, flushed and then get their names', async (context) => {
  const { to } = directories(context, []);
  const from = otherFileSystem(context, to);
  if (from === undefined) return context.skip('there is one file system');
  fill(from, ['0a/bc', 'pack/pack-1.pack']);
  fill(to, ['pack/pack-1.pack']);
  const own = idOf(`${to}/pack/pack-1.pack`);
  const events = await observeFlushes(context);

  await adoptObjects(from, to, signal);

  assert.equal(readFileSync(`${to}/0a/bc`, 'utf8'), '0a/bc');
  assert.equal(idOf(`${to}/pack/pack-1.pack`), own);
  assert.deepEqual(
    events.filter((event) => !event.startsWith('link')).map((event) => event.replace(DRAFT, 'DRAFT')),
    [`flush ${to}/0a/DRAFT`, `move ${to}/0a/DRAFT ${to}/0a/bc`, `flush ${to}/0a`],
  );
});

// Symptom: the copy that one fork had just finished was emptied by another one.
test('copies of the same object, which may be made at once, have drafts of their own', async (context) => {
  const { to } = directories(context, []);
  const from = otherFileSystem(context, to);
  if (from === undefined) return context.skip('there is one file system');
  fill(from, ['0a/bc']);
  const events = await observeFlushes(context);

  await adoptObjects(from, to, signal);
  rmSync(`${to}/0a/bc`);
  await adoptObjects(from, to, signal);

  const drafts = events.flatMap((event) => DRAFT.exec(event) ?? []);
  assert.equal(new Set(drafts).size, 2);
  assert.deepEqual(readdirSync(`${to}/0a`), ['bc']);
});

test('a copy that fails leaves no draft', async (context) => {
  const { to } = directories(context, []);
  const from = otherFileSystem(context, to);
  if (from === undefined) return context.skip('there is one file system');
  mkdirSync(`${from}/0a/bc`, { recursive: true });

  await assert.rejects(adoptObjects(from, to, signal), { syscall: 'copyfile' });

  assert.deepEqual(readdirSync(`${to}/0a`), []);
});

test('a file that disappeared is taken in the next pass', async (context) => {
  const { to } = directories(context, []);
  const from = otherFileSystem(context, to);
  if (from === undefined) return context.skip('there is one file system');
  fill(from, ['ff/later']);
  mkdirSync(`${from}/0a`);
  // It can be read as soon as the other one is there.
  symlinkSync(`${to}/ff/later`, `${from}/0a/bc`);

  await adoptObjects(from, to, signal);

  assert.equal(readFileSync(`${to}/0a/bc`, 'utf8'), 'ff/later');
});

test('files that keep disappearing end the passes with an error', async (context) => {
  const { to } = directories(context, []);
  const from = otherFileSystem(context, to);
  if (from === undefined) return context.skip('there is one file system');
  mkdirSync(`${from}/0a`);
  // It is listed, but cannot be read.
  symlinkSync('nowhere', `${from}/0a/bc`);

  await assert.rejects(adoptObjects(from, to, signal), { message: 'the objects of the pool keep changing' });

  assert.equal(statSync(`${to}/0a/bc`, { throwIfNoEntry: false }), undefined);
});

test('adopting objects ends when it is aborted', async (context) => {
  const { from, to } = directories(context, ['0a/bc']);

  await assert.rejects(adoptObjects(from, to, AbortSignal.abort(new Error('enough'))), { message: 'enough' });

  assert.equal(statSync(`${to}/0a`, { throwIfNoEntry: false }), undefined);
});
