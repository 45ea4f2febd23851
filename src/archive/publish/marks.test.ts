import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, renameSync, rmdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { moduleOptions } from '#testkit/programs/program-command';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { ALL_REPOSITORIES, MarkedSettings, settingsMarker } from './marks.ts';

const directory = makeScratchDirectory('marks');
after(() => rmSync(directory, { recursive: true }));
const TAKES = 250;
const PATHS = 120;
const MAX_FILES = 102;

// Symptom: while a bucket was away, the directory got up to two files more in a second, and each
// mark was waited for again and again.
test('marks that wait for the bucket are in a limited number of files, each once', async () => {
  const mark = settingsMarker(directory);
  const marks = new MarkedSettings(directory);
  const paths = new Set<string>();
  const taken = [];
  for (let count = 0; count < TAKES; count++) {
    const path = `${count % PATHS}.git`;
    paths.add(path);
    mark(path, 'begin');
    mark(path, 'end');
    const marked = marks.isFull ? undefined : await marks.take();
    if (marked !== undefined) taken.push(marked);
    assert.ok(readdirSync(directory).length <= MAX_FILES);
  }
  assert.ok(taken.flatMap((each) => each.paths).length <= TAKES);

  const next = new MarkedSettings(directory);
  const left = await next.left();

  assert.deepEqual(new Set(left?.paths), paths);
  assert.equal(readdirSync(directory).length, 1);
  if (left !== undefined) await next.forget(left);
  assert.deepEqual(readdirSync(directory), []);
});

test('a change that is under way is marked again before its marks are forgotten', async () => {
  const own = join(directory, 'under-way');
  const mark = settingsMarker(own);
  for (const moment of ['begin', 'begin', 'end'] as const) mark('a.git', moment);
  const marks = new MarkedSettings(own);

  await marks.take();
  const marked = await marks.take();
  if (marked !== undefined) await marks.forget(marked);

  assert.deepEqual(marked?.paths, ['a.git']);
  assert.deepEqual((await new MarkedSettings(own).left())?.paths, ['a.git']);
});

// Symptom: changes of settings were archived only after the next start.
test('marks that could not be read are read again', async () => {
  const own = join(directory, 'unreadable');
  const mark = settingsMarker(own);
  mark('a.git', 'end');
  const marks = new MarkedSettings(own);
  await marks.take();
  const file = join(own, 'marks.0');
  renameSync(file, join(directory, 'kept-marks'));
  mkdirSync(file);
  mark('b.git', 'end');
  await assert.rejects(marks.take(), { code: 'EISDIR' });

  rmdirSync(file);
  renameSync(join(directory, 'kept-marks'), file);

  assert.deepEqual((await marks.take())?.paths, ['a.git']);
  assert.deepEqual((await marks.take())?.paths, ['b.git']);
});

// Symptom: the file grew for ever while another server wrote the archive.
test('a file of marks that nobody reads becomes one for all repositories', async () => {
  const own = join(directory, 'unread');
  const mark = settingsMarker(own);
  const path = 'x'.repeat(4000);
  for (let count = 0; count < 2600; count++) mark(path, 'end');
  const { size } = statSync(join(own, 'marks'));

  const marked = await new MarkedSettings(own).left();

  assert.ok(size < 4 * 1024 * 1024, String(size));
  assert.deepEqual(marked?.paths, [ALL_REPOSITORIES, path]);
});

// Symptom: changes of settings were archived by no later start.
test('marks stay if the process cannot replace them', async () => {
  const own = join(directory, 'kept');
  const mark = settingsMarker(own);
  for (let count = 0; count < 2200; count++) mark('x'.repeat(4000), 'end');
  const { size } = statSync(join(own, 'marks')); // too large since the last look
  const script = `
    import { settingsMarker } from '#archive/publish/marks';
    const mark = settingsMarker(${JSON.stringify(own)});
    for (let count = 0; count < 256; count++)
      try {
        mark('a.git', 'end');
      } catch {}`;
  const node = [process.execPath, ...moduleOptions(), '--input-type=module', '-e', script];

  spawnSync('sh', ['-c', 'ulimit -f 0 && exec "$@"', 'sh', ...node]); // it can write no byte

  assert.equal(statSync(join(own, 'marks')).size, size);
});
