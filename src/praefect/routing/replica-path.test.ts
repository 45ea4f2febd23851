import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { deriveReplicaPath, isRailsPoolPath, poolIdOf } from './replica-path.ts';

const HASH = createHash('sha256').update('1').digest('hex');
const POOL = `@pools/${HASH.slice(0, 2)}/${HASH.slice(2, 4)}/${HASH}.git`;

test('the pools of GitLab have a hash below its first digits', () => {
  assert.equal(isRailsPoolPath(POOL), true);
  for (const path of [
    '',
    POOL.slice(1),
    `${POOL}/x`,
    POOL.replace('.git', ''),
    POOL.replace(`/${HASH.slice(2, 4)}/`, '/00/'),
    POOL.replace('@pools', '@hashed'),
    POOL.toUpperCase(),
  ])
    assert.equal(isRailsPoolPath(path), false, path);
});

test('a replica has a path by its id, and pools have a directory of their own', () => {
  const directory = `${HASH.slice(0, 2)}/${HASH.slice(2, 4)}`;
  assert.equal(deriveReplicaPath(1, 'group/name.git'), `@cluster/repositories/${directory}/1`);
  assert.equal(deriveReplicaPath(1, POOL), `@cluster/pools/${directory}/1`);
});

test('the id of a pool is in its path', () => {
  assert.equal(poolIdOf(deriveReplicaPath(12, POOL)), 12);
  for (const path of [
    deriveReplicaPath(12, 'a.git'),
    POOL,
    '@cluster/pools/ab/cd/x',
    '@cluster/pools/ab/cd/1/2',
  ])
    assert.equal(poolIdOf(path), undefined, path);
});
