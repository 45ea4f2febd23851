import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isOwnQuarantine, isTransactionQuarantine, quarantinePrefix } from './quarantine-path.ts';

const storage = { name: 'default', path: '/s' };
const location = { storage, path: '/s/a.git', relativePath: 'a.git' };

test('a quarantine shows to which repository it belongs', () => {
  const own = `/s/+gitaly/tmp/${quarantinePrefix('a.git')}`;

  // The first 8 bytes of SHA-1 of `a.git`, @see Gitaly: storage.QuarantineDirectoryPrefix
  assert.equal(quarantinePrefix('a.git'), 'quarantine-03b3a264948eb979-');
  for (const [path, isOwn] of [
    [`${own}1`, true],
    [`${own}1/objects`, true],
    [own, false],
    [`/s/+gitaly/tmp/${quarantinePrefix('b.git')}1`, false],
    [`/other/+gitaly/tmp/${quarantinePrefix('a.git')}1`, false],
  ] as const)
    assert.equal(isOwnQuarantine(location, path), isOwn, path);
});

test('a quarantine of a transaction has its name, and that of git in it as well', () => {
  for (const [path, is] of [
    ['/s/+gitaly/staging/1/quarantine', true],
    ['/s/1/quarantine/tmp_objdir-incoming-x', true],
    ['/s/1/quarantine/tmp_objdir-incoming-x/y', false],
    ['/s/1/quarantine-x', false],
    ['/s/1/quarantine/objects', false],
  ] as const)
    assert.equal(isTransactionQuarantine(path), is, path);
});
