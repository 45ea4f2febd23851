import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { after, test } from 'node:test';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { type PendingFile, PendingFiles } from './pending-files.ts';

const scratch = makeScratchDirectory('pending-files');
after(() => rmSync(scratch, { recursive: true }));

const oidsIn = (path: string): string[] =>
  JSON.parse(readFileSync(path, 'utf8')).map(({ oid }: PendingFile) => oid);

// After the next crash, only `archive verify` would have found the files.
test('notes that could not be written are written by the next save', async () => {
  const path = join(scratch, 'missing/pending.json');
  const pending = await PendingFiles.open(path);
  pending.add(['id'], { oid: 'one', size: 1 }, Date.now());
  await assert.rejects(pending.save(), { code: 'ENOENT' });

  mkdirSync(dirname(path));
  await pending.save();

  assert.deepEqual(oidsIn(path), ['one']);
});

test('the last of several saves at once counts', async () => {
  const path = join(scratch, 'pending.json');
  const pending = await PendingFiles.open(path);
  const oids: string[] = [];
  for (let round = 0; round < 100; round++) {
    const saves: Promise<void>[] = [];
    for (let count = 0; count < 4; count++) {
      oids.push(`${round}-${count}`);
      pending.add(['id'], { oid: oids.at(-1) ?? '', size: 1 }, Date.now());
      saves.push(pending.save());
    }
    await Promise.all(saves);
    assert.deepEqual(oidsIn(path), oids);
  }
});
