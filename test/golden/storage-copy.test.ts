import assert from 'node:assert/strict';
import {
  appendFileSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { StorageCopy } from './storage-copy.ts';
import { Templates } from './templates.ts';

/** Changes of a copy, below its directory, each of which has to be found and repaired. */
const CHANGES: Readonly<Record<string, (directory: string) => void>> = {
  'a changed file': (directory) => appendFileSync(join(directory, 'config'), '[a]\n'),
  'a replaced file of the same size': (directory) => {
    const head = readFileSync(join(directory, 'HEAD'), 'utf8');
    rmSync(join(directory, 'HEAD'));
    writeFileSync(join(directory, 'HEAD'), head.replace('main', 'niam'));
  },
  'a new file': (directory) => writeFileSync(join(directory, 'refs/heads/new'), 'x'),
  'a name that is not UTF-8': (directory) =>
    writeFileSync(Buffer.from(`${directory}/refs/heads/\xff`, 'latin1'), 'x'),
  'a new directory': (directory) => mkdirSync(join(directory, 'custom_hooks/a'), { recursive: true }),
  'a new pack': (directory) => writeFileSync(join(directory, 'objects/pack/pack-1.pack'), 'x'),
  'a missing directory': (directory) => rmSync(join(directory, 'refs'), { recursive: true }),
  'no repository': (directory) => rmSync(directory, { recursive: true }),
  'another repository': (directory) => mkdirSync(join(directory, '../other.git')),
};

function listing(directory: string): string[] {
  const names = readdirSync(directory, { recursive: true, encoding: 'latin1' }).sort();
  return names.map((name) => {
    const path = Buffer.from(join(directory, name), 'latin1');
    return statSync(path).isFile() ? `${name} ${readFileSync(path).toString('latin1')}` : name;
  });
}

function makeCopy(context: TestContext): { copy: StorageCopy; storage: string } {
  const templates = new Templates('operations');
  const storage = makeScratchDirectory('copy');
  context.after(() => {
    templates[Symbol.dispose]();
    rmSync(storage, { recursive: true });
  });
  return { copy: new StorageCopy(storage, templates, { mayRepair: true }), storage };
}

for (const [name, change] of Object.entries(CHANGES))
  test(`a storage is repaired: ${name}`, (context) => {
    const { copy, storage } = makeCopy(context);
    copy.restore(['ops-conflicts']);
    const before = listing(storage);
    assert.ok(copy.isRestored());

    change(join(storage, 'ops-conflicts.git'));

    assert.equal(copy.isRestored(), false);
    copy.restore(['ops-conflicts']);
    assert.deepEqual(listing(storage), before);
    assert.ok(copy.isRestored());
  });

test('a storage changes its templates, and keeps what belongs to the server', (context) => {
  const { copy, storage } = makeCopy(context);
  mkdirSync(join(storage, '+gitaly/tmp'), { recursive: true });

  copy.restore(['ops-conflicts', 'ops-empty']);
  copy.restore(['ops-empty', 'ops-unborn']);

  assert.deepEqual(readdirSync(storage).sort(), ['+gitaly', 'ops-empty.git', 'ops-unborn.git']);
  assert.ok(copy.isRestored());
});
