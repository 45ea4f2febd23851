import assert from 'node:assert/strict';
import { test } from 'node:test';
import { capabilitiesOf, isAtLeast, parseGitVersion } from './capabilities.ts';

for (const [output, version] of [
  ['git version 2.39.5', { major: 2, minor: 39, patch: 5 }],
  ['git version 2.39.5 (Apple Git-154)', { major: 2, minor: 39, patch: 5 }],
  ['git version 2.46.0.windows.1', { major: 2, minor: 46, patch: 0 }],
  ['git version 2.53.GIT', { major: 2, minor: 53, patch: 0 }],
  ['git version 2.45.0-rc1.gl2', { major: 2, minor: 45, patch: 0 }],
  ['hg 6.1', undefined],
] as const) {
  test(`${JSON.stringify(output)} is understood`, () => {
    assert.deepEqual(parseGitVersion(output), version);
  });
}

test('capabilities come with versions', () => {
  const old = capabilitiesOf({ major: 2, minor: 39, patch: 5 });
  const young = capabilitiesOf({ major: 3, minor: 0, patch: 0 });

  assert.equal(old.catFileNul, false);
  assert.equal(capabilitiesOf({ major: 2, minor: 42, patch: 0 }).catFileNul, true);
  assert.equal(Object.values(young).every(Boolean), true);
  assert.equal(isAtLeast({ major: 2, minor: 39, patch: 0 }, { major: 2, minor: 40 }), false);
});
