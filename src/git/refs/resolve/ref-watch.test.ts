import assert from 'node:assert/strict';
import { appendFileSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { gitOutput, initRepository } from '#testkit/repositories/init-repository';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { watchRefs } from './ref-watch.ts';

const directory = makeScratchDirectory('ref-watch');
after(() => rmSync(directory, { recursive: true }));

const CHANGES: Readonly<Record<string, (path: string) => unknown>> = {
  'a branch is created': (path) => gitOutput(path, ['branch', 'new', 'main']),
  'a branch in a new directory is created': (path) => gitOutput(path, ['branch', 'a/b/c', 'main']),
  'a loose reference moves': (path) => gitOutput(path, ['update-ref', 'refs/heads/loose', 'main~1']),
  'a file is written in its place': (path) => appendFileSync(join(path, 'refs/heads/loose'), '\n'),
  'a loose branch is deleted': (path) => gitOutput(path, ['branch', '-D', 'loose']),
  'a packed branch is deleted': (path) => gitOutput(path, ['branch', '-D', 'packed']),
  'references are packed': (path) => gitOutput(path, ['pack-refs', '--all']),
  'a tag is created': (path) => gitOutput(path, ['tag', 'v1', 'main']),
  'HEAD moves': (path) => gitOutput(path, ['symbolic-ref', 'HEAD', 'refs/heads/loose']),
  'a setting changes': (path) => gitOutput(path, ['config', 'a.b', 'c']),
  'history becomes shallow': (path) => writeFileSync(join(path, 'shallow'), ''),
  'history is grafted': (path) => {
    mkdirSync(join(path, 'info'), { recursive: true });
    writeFileSync(join(path, 'info/grafts'), '');
  },
};

let count = 0;

function repository(): string {
  const path = join(directory, `${count++}.git`);
  initRepository(path, { commits: 2 });
  gitOutput(path, ['branch', 'packed', 'main']);
  gitOutput(path, ['pack-refs', '--all']);
  gitOutput(path, ['branch', 'loose', 'main']);
  return path;
}

/** A time at which the files have been as they are for long. */
const later = (): number => Date.now() + 60_000;

for (const [change, make] of Object.entries(CHANGES)) {
  test(`a watch notices when ${change}`, () => {
    const path = repository();
    const watch = watchRefs(path, later());
    assert.equal(watch?.isUnchanged(), true);
    gitOutput(path, ['for-each-ref']);
    assert.equal(watch?.isUnchanged(), true);

    make(path);

    assert.equal(watch?.isUnchanged(), false);
  });
}

test('references that have just changed are not watched', () => {
  assert.equal(watchRefs(repository()), undefined);
});

test('a file in place of the directory of grafts does not matter', () => {
  const path = repository();
  rmSync(join(path, 'info'), { recursive: true, force: true });
  writeFileSync(join(path, 'info'), '');

  assert.equal(watchRefs(path, later())?.isUnchanged(), true);
});

test('unusual references are not watched', () => {
  const unusual: readonly ((path: string) => void)[] = [
    (path) => writeFileSync(join(path, 'commondir'), './other.git\n'),
    (path) => symlinkSync('loose', join(path, 'refs/heads/link')),
    (path) => writeFileSync(Buffer.from(`${path}/refs/heads/\xff`, 'latin1'), ''),
    (path) => {
      for (let index = 0; index < 200; index++) writeFileSync(join(path, `refs/heads/${index}`), '');
    },
  ];
  for (const make of unusual) {
    const path = repository();
    make(path);
    assert.equal(watchRefs(path, later()), undefined, String(make));
  }
});

test('the size of a watch grows with the names that it watches', () => {
  const path = repository();
  const before = watchRefs(path, later())?.bytes ?? 0;
  gitOutput(path, ['branch', 'a-rather-long-name-of-a-branch', 'main']);

  const after = watchRefs(path, later())?.bytes ?? 0;

  assert.ok(before > 400 && before < 2000, `${before}`); // some ten stamps of 60 characters
  assert.ok(after - before >= 100, `${after - before}`);
});
