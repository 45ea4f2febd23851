import assert from 'node:assert/strict';
import {
  type Dirent,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { typedEntries } from './typed-entries.ts';

const directory = mkdtempSync(join(tmpdir(), 'entries-'));
after(() => rmSync(directory, { recursive: true, force: true }));
mkdirSync(join(directory, 'folder'));
writeFileSync(Buffer.concat([Buffer.from(`${directory}/`), Buffer.from([0xff])]), '');
symlinkSync('folder', join(directory, 'link'));

function facts(entries: readonly Dirent<Buffer>[]): string[] {
  return entries
    .map((entry) => {
      const types = [entry.isDirectory(), entry.isFile(), entry.isSymbolicLink()];
      return `${entry.name.toString('latin1')} ${types.join()}`;
    })
    .sort();
}

test('names alone, as Bun returns them, get the types that Node returns', () => {
  const entries = readdirSync(directory, { withFileTypes: true, encoding: 'buffer' });
  // The test runs on Node, whose names represent what Bun returns.
  const names = readdirSync(directory, { encoding: 'buffer' }) as unknown as Dirent<Buffer>[];

  const typed = typedEntries(directory, names);

  assert.equal(typedEntries(directory, entries), entries);
  assert.deepEqual(facts(typed), facts(entries));
  assert.deepEqual(facts(typed), [
    'folder true,false,false',
    'link false,false,true',
    '\xff false,true,false',
  ]);
});

test('an entry that has been removed meanwhile is left out', () => {
  const names = [Buffer.from('gone')] as unknown as Dirent<Buffer>[];

  assert.deepEqual(typedEntries(directory, names), []);
});
