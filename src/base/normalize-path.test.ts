import assert from 'node:assert/strict';
import { posix } from 'node:path';
import { test } from 'node:test';
import { fc } from '#testkit/fast-check';
import { assertCpuBelow } from '#testkit/measure/cpu-limit';
import { normalizePath, resolvePath } from './normalize-path.ts';

const PARTS = ['', '.', '..', '...', 'a', 'b.', '.c', 'ä'];
const paths = fc.array(fc.constantFrom(...PARTS), { maxLength: 10 }).map((parts) => parts.join('/'));

test('paths are normalized and resolved as by node:path', () => {
  fc.assert(
    fc.property(paths, (path) => {
      assert.equal(normalizePath(path), posix.normalize(path));
      assert.equal(resolvePath('/x/y', path), posix.resolve('/x/y', path));
    }),
    { numRuns: 5000 },
  );
});

// node:path takes minutes for each of these.
for (const [name, path] of Object.entries({
  'parts that lead up': '../'.repeat(1 << 19),
  'parts that are removed again': `${'a/'.repeat(1 << 19)}${'b/../'.repeat(1 << 18)}`,
}))
  test(`a long path with ${name} takes milliseconds`, () =>
    assertCpuBelow(2000, () => {
      normalizePath(path);
      resolvePath('/x', path);
    }));
