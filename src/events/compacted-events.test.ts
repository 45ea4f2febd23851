import assert from 'node:assert/strict';
import { readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { findCompacted } from './compacted-events.ts';

const nameOf = (last: number): string => `${String(last).padStart(16, '0')}.compacted`;

/** Makes a directory with these files, a segment and an incomplete file. */
function journal(context: TestContext, ...lasts: readonly number[]): string {
  const directory = makeScratchDirectory('compacted');
  context.after(() => rmSync(directory, { recursive: true }));
  for (const name of [...lasts.map(nameOf), 'compacted.tmp', 'a-segment'])
    writeFileSync(join(directory, name), '');
  return directory;
}

for (const first of [10, 11])
  test(`compacted events up to 10 are followed by segments from ${first} on`, async (context) => {
    const directory = journal(context, 3, 10, 9);

    const found = await findCompacted(directory, first);

    assert.deepEqual(found, { last: 10, path: join(directory, nameOf(10)) });
    assert.deepEqual(readdirSync(directory).sort(), [nameOf(10), 'a-segment'], 'others are leftovers');
  });

test('compacted events with a gap behind them are removed', async (context) => {
  const directory = journal(context, 10);

  assert.equal(await findCompacted(directory, 12), undefined);

  assert.deepEqual(readdirSync(directory), ['a-segment']);
});

test('a journal without compacted events has none', async (context) => {
  const directory = journal(context);

  assert.equal(await findCompacted(directory, 1), undefined);

  assert.deepEqual(readdirSync(directory), ['a-segment']);
});
