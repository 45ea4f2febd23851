import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Secret } from '#base/secret';
import { grantOfLfsToken, LFS_TOKEN_SECONDS, lfsToken } from './lfs-token.ts';
import { checkRepositoryPath } from './repository-path.ts';

const KEY = new Secret('a key');
const NOW = 1_800_000_000;

function grant() {
  const path = checkRepositoryPath(['team', 'a']);
  if (typeof path !== 'string') throw new Error(path.refusal);
  const credential = { kind: 'key', name: 'SHA256:abc' } as const;
  const identity = { glId: 'username-ann', username: 'ann', credential };
  return { identity, path, operation: 'write', mayCreate: true } as const;
}

test('a token allows what it was made for, until its end', () => {
  const token = lfsToken(grant(), KEY, NOW);

  assert.deepEqual(grantOfLfsToken(token, KEY, NOW + LFS_TOKEN_SECONDS - 1), grant());
  assert.equal(grantOfLfsToken(token, KEY, NOW + LFS_TOKEN_SECONDS), undefined);
});

test('a token that was changed, or made with another key, allows nothing', () => {
  const token = lfsToken(grant(), KEY, NOW);
  const [payload = '', signature = ''] = token.split('.');
  const claims = JSON.parse(Buffer.from(payload, 'base64url').toString());
  const changed = Buffer.from(JSON.stringify({ ...claims, path: 'team/b.git' })).toString('base64url');

  for (const wrong of [
    '',
    '.',
    payload,
    `${payload}.`,
    `${payload}.${signature}.x`,
    `${changed}.${signature}`,
    `${payload}.${'A'.repeat(signature.length)}`,
    lfsToken(grant(), new Secret('another key'), NOW),
  ])
    assert.equal(grantOfLfsToken(wrong, KEY, NOW), undefined, wrong);
});
