import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';
import { isReleased } from './needs-release-tests.ts';

const PROGRAM = join(import.meta.dirname, 'needs-release-tests.ts');

for (const [file, expected] of [
  ['src/git/refs/list/list-refs.ts', true],
  ['src/git/command/fixtures/x.txt', false],
  ['src/git/refs/list/list-refs.test.ts', false],
  ['src/testkit/start-gitaly.ts', true], // a part of the package
  ['docs/client/README.md', true],
  ['README.md', true],
  ['CHANGELOG.md', false],
  ['package-lock.json', true],
  ['scripts/make-deb.ts', true],
  ['scripts/packages/npm.ts', true],
  ['scripts/check-names.ts', false],
  ['deploy/helm/gitaly/templates/service.yaml', true],
  ['test/faults/each-failure.test.ts', false],
  ['bench/run.ts', false],
] as const) {
  test(`${file} is ${expected ? '' : 'not '}a part of a release`, () => {
    assert.equal(isReleased(file), expected);
  });
}

test('against an unknown commit the program prints no "no"', () => {
  const { status, stdout } = spawnSync(process.execPath, [PROGRAM, '0'.repeat(40)], { encoding: 'utf8' });

  assert.notEqual(status, 0);
  assert.equal(stdout, '');
});
