import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gitErrorText } from './git-error-text.ts';
import { defaultName, relativePathOf, SourceError } from './source.ts';
import { displayOf, isUrl, separateCredentials } from './url.ts';

test('a repository is named after the last part of its path or URL', () => {
  const names = [
    '/srv/git/one.git/',
    '/home/ann/two/.git',
    'https://host/group/three.git?x',
    'ann@host:four.git',
    'host:a/five',
    '/x/six.bundle',
  ];

  assert.deepEqual(
    names.map((location) => relativePathOf(defaultName(location))),
    ['one.git', 'two.git', 'three.git', 'four.git', 'five.git', 'six.git'],
  );
});

test('names that leave the storage or collide with the server’s own files are refused', () => {
  for (const name of [
    '',
    '/',
    '/abs',
    '../x',
    'a/../b',
    'a//b',
    '.',
    'x.git/y',
    '+gitaly/x',
    'a.lock/x',
    'line\nfeed',
    'a\\b',
    'x'.repeat(300),
    '.git',
  ]) {
    assert.throws(() => relativePathOf(name), SourceError, JSON.stringify(name));
  }
  assert.equal(relativePathOf('@hashed/ab/cd/abcd.git'), '@hashed/ab/cd/abcd.git');
});

test('URLs and paths are distinguished as in git', () => {
  assert.deepEqual(
    ['https://h/x', 'git://h/x', 'file:///x', 'ann@h:x', 'h:x', './a:b', '/a:b', 'C/x:y', 'plain'].map(isUrl),
    [true, true, true, true, true, false, false, false, false],
  );
});

test('user and password of an HTTP URL are moved to the environment, decoded, and never shown', () => {
  const { url, env } = separateCredentials('https://an%40n:p%2Fw%25@host:8443/x.git');

  assert.equal(url, 'https://host:8443/x.git');
  assert.equal(env.GIT_CONFIG_KEY_1, 'credential.https://host:8443.helper');
  assert.deepEqual([env.GITALY_IMPORT_USERNAME, env.GITALY_IMPORT_PASSWORD], ['an@n', 'p/w%']);
  assert.equal(displayOf('https://an%40n:p%2Fw%25@host:8443/x.git'), 'https://[FILTERED]@host:8443/x.git');
  assert.equal(displayOf('https://token@host/x.git'), 'https://[FILTERED]@host/x.git');
  assert.equal(displayOf('ssh://git:word@host/x.git'), 'ssh://git:[FILTERED]@host/x.git');
  assert.equal(displayOf('ssh://git@host/x.git'), 'ssh://git@host/x.git');
  assert.equal(
    separateCredentials('https://ann@host/x.git').env.GIT_CONFIG_KEY_0,
    'credential.https://host.username',
  );
  assert.deepEqual(separateCredentials('https://host/x.git'), { url: 'https://host/x.git', env: {} });
  assert.deepEqual(separateCredentials('ssh://git@host/x.git').url, 'ssh://git@host/x.git');
});

// "URI malformed"
test('a percent sign in a password that encodes nothing stands for itself, as for git', () => {
  const of = (location: string): unknown[] => {
    const { env } = separateCredentials(location);
    return [env.GITALY_IMPORT_USERNAME, env.GITALY_IMPORT_PASSWORD];
  };

  assert.deepEqual(of('https://ann:100%@host/x.git'), ['ann', '100%']);
  assert.deepEqual(of('https://a%n:%zz%C3%A9%41%00@host/x.git'), ['a%n', '%zzéA%00']);
});

test("the user's settings in the environment come before those for the credentials", () => {
  const environment = { GIT_CONFIG_COUNT: '1', GIT_CONFIG_KEY_0: 'http.proxy', GIT_CONFIG_VALUE_0: 'x' };

  const { env } = separateCredentials('https://ann:word@host/x.git', environment);

  assert.deepEqual(
    [env.GIT_CONFIG_COUNT, env.GIT_CONFIG_KEY_0, env.GIT_CONFIG_KEY_1, env.GIT_CONFIG_KEY_2],
    ['3', undefined, 'credential.https://host.helper', 'credential.https://host.helper'],
  );
});

test("git's failures are reported without progress and passwords", () => {
  const said = [
    "Cloning into bare repository '/tmp/x'...",
    'remote: Counting objects: 100% (3/3), done.\rReceiving objects:  50% (1/2)',
    'remote: no such project',
    "fatal: unable to access 'https://ann:word@host/x.git/': 404",
    "error: failed to push some refs to 'fd::3'",
  ].join('\n');

  assert.equal(
    gitErrorText(said),
    "remote: no such project; fatal: unable to access 'https://[FILTERED]@host/x.git/': 404",
  );
  assert.equal(gitErrorText('something odd\n'), 'something odd');
});
