import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { gitOutput } from '#testkit/repositories/init-repository';
import { commitSeed } from './commit-seed.ts';

test('the seed of a run follows from sources and tests', (context) => {
  const root = mkdtempSync(join(tmpdir(), 'commit-seed-'));
  context.after(() => rmSync(root, { recursive: true }));
  const people = ['-c', 'user.name=Ann', '-c', 'user.email=ann@example.com'];
  const seedAfter = (path: string): number => {
    mkdirSync(join(root, dirname(path)), { recursive: true });
    writeFileSync(join(root, path), path);
    gitOutput(root, ['add', '--all']);
    gitOutput(root, [...people, 'commit', '--quiet', `--message=${path}`]);
    return commitSeed(root);
  };
  gitOutput(root, ['init', '--quiet']);
  const first = seedAfter('src/a.ts');
  assert.ok(Number.isSafeInteger(first) && first >= 0 && first < 2 ** 31);
  assert.equal(commitSeed(root), first);

  const others = ['README.md', 'test/records.json', 'src/b.ts', 'test/b.test.ts'].map(seedAfter);
  assert.deepEqual(
    others.map((seed) => seed === first),
    [true, true, false, false],
  );
  assert.notEqual(others[2], others[3]);
});

test('outside a checkout the seed is random', (context) => {
  const root = mkdtempSync(join(tmpdir(), 'commit-seed-'));
  context.after(() => rmSync(root, { recursive: true }));
  assert.notEqual(commitSeed(root), commitSeed(root));
});
