import assert from 'node:assert/strict';
import { readdirSync, rmSync } from 'node:fs';
import { after, test } from 'node:test';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { MarkedSettings, settingsMarker } from './marks.ts';

const directory = makeScratchDirectory('marks');
after(() => rmSync(directory, { recursive: true }));
const TAKES = 250;
const PATHS = 120;
const MAX_FILES = 102;

// Symptom: while a bucket was away, the directory got up to two files more in a second.
test('marks that wait for the bucket are in a limited number of files', async () => {
  const mark = settingsMarker(directory);
  const marks = new MarkedSettings(directory);
  const paths = new Set<string>();
  const taken = [];
  for (let count = 0; count < TAKES; count++) {
    const path = `${count % PATHS}.git`;
    paths.add(path);
    mark(path, 'begin');
    mark(path, 'end');
    const marked = await marks.take();
    if (marked !== undefined) taken.push(marked);
    assert.ok(readdirSync(directory).length <= MAX_FILES);
  }
  const left = await new MarkedSettings(directory).left();
  assert.deepEqual(new Set(left.flatMap((each) => each.paths)), paths);
  const last = await marks.take();

  for (const marked of last === undefined ? taken : [...taken, last]) await marks.forget(marked);

  assert.deepEqual(readdirSync(directory), []);
});
