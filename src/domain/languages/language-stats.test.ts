import assert from 'node:assert/strict';
import { test } from 'node:test';
import { StorageFixture } from '#testkit/repositories/storage-fixture';
import { LanguageStats } from './language-stats.ts';

const FILES = 100_000;

/** Runs a function; returns its result, and the iterations of the event loop meanwhile. */
async function counted<T>(run: () => Promise<T>): Promise<{ readonly result: T; readonly turns: number }> {
  let turns = 0;
  const count = (): void => {
    turns++;
    timer = setImmediate(count);
  };
  let timer = setImmediate(count);
  try {
    return { result: await run(), turns };
  } finally {
    clearImmediate(timer);
  }
}

// Symptom: other calls waited for 300 ms for each count of a repository with 100,000 files.
test('the counts of many files are read and copied in slices of the event loop', async () => {
  await using fixture = await StorageFixture.create();
  const repository = fixture.init('x.git');
  const { signal } = new AbortController();
  const stats = LanguageStats.empty('1');
  for (let index = 0; index < FILES; index++) stats.add(`file-${index}.rb`, 'Ruby', 1);
  await stats.save(repository);

  const loaded = await LanguageStats.load(repository);
  const read = await counted(() => loaded.for('2', signal));
  const copied = await counted(async () => await read.result?.for('3', signal));

  for (const { turns } of [read, copied]) assert.ok(turns > 1, `${turns} turns`);
  const { result: last } = copied;
  assert.ok(last);
  last.drop('file-5.rb');
  assert.deepEqual([loaded.commitId, ...loaded.totals], ['1', ['Ruby', FILES]]);
  assert.deepEqual([last.commitId, ...last.totals], ['3', ['Ruby', FILES - 1]]);
});
