import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assertLinearTime } from '#testkit/measure/time-growth';
import { positionOf, showPath } from './toml-position.ts';

const DOCUMENT = `listen_addr = ":0"
  "quoted" =   1
[git]
bin_path = "x" # git.config
[[git.config]]
key = "a"
[[git.config]]
  key = "b"
[a.b]
c.d = 1
größe = "x"
`;

for (const [path, position] of [
  [['listen_addr'], { line: 1, column: 15 }],
  [['LISTEN_ADDR'], { line: 1, column: 15 }],
  [['quoted'], { line: 2, column: 16 }],
  [['git'], { line: 3, column: 1 }],
  [['git', 'bin_path'], { line: 4, column: 12 }],
  [['git', 'config', 0, 'key'], { line: 6, column: 7 }],
  [['git', 'config', 1, 'key'], { line: 8, column: 9 }],
  [['git', 'config', 1], { line: 7, column: 1 }],
  [['a', 'b', 'c', 'd'], { line: 10, column: 7 }],
  [['git', 'config', 2, 'key'], undefined],
  [['nothing'], undefined],
] as const) {
  test(`${showPath(path)} is found at its position`, () => {
    assert.deepEqual(positionOf(DOCUMENT, path), position);
  });
}

test('keys and tables of thousands of parts take a time in proportion to their length', async () => {
  for (const build of [
    (size: number) => `[[a.${'b.'.repeat(size)}c]]\n`,
    (size: number) => `[${'b.'.repeat(size)}c]\n${'d = 1\n'.repeat(size)}`,
    (size: number) => `${'b.'.repeat(size)}c = 1\n`,
  ])
    await assertLinearTime((size) => assert.equal(positionOf(build(size), ['x', 0, 'y']), undefined));
});
