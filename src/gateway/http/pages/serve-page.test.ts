import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Authenticator } from '../authentication.ts';
import { pageAccess } from './serve-page.ts';

const CLIENT = { headers: {}, remoteAddress: '192.0.2.1', scheme: 'https' } as const;

/** Everybody may read `public`, and write nothing. */
const reading: Authenticator = {
  authenticate: async ({ operation, path }) => {
    await new Promise(setImmediate);
    const isAllowed = operation === 'read' && path.startsWith('public/');
    return isAllowed
      ? { glId: 'user-1', username: 'git' }
      : { answer: { status: 404, text: 'There is none.' } };
  },
};

test('the rights of a page are those of its client for git', async () => {
  const access = pageAccess(reading, CLIENT);

  assert.equal(await access.refusalAt('public/a.git'), undefined);
  const refusal = await access.refusalAt('secret/a.git');
  assert.deepEqual([refusal?.status, String(refusal?.body)], [404, 'There is none.\n']);
  assert.equal(await access.mayWriteAt('public/a.git'), false);
  assert.equal(await access.isAdministrator(), false);
  assert.deepEqual([access.isOpen, access.hasCredentials], [false, false]);
});

test('a path that leads out of the storage is no repository, with any authenticator', async () => {
  for (const authenticator of [reading, undefined])
    for (const path of ['public/../secret/a.git', '../a.git', 'public//a.git', ''])
      assert.equal((await pageAccess(authenticator, CLIENT).refusalAt(path))?.status, 404, path);
});

test('without authentication everything is allowed', async () => {
  const access = pageAccess(undefined, { ...CLIENT, headers: { authorization: 'Basic x' } });

  assert.equal(await access.refusalAt('secret/a.git'), undefined);
  assert.deepEqual(
    [await access.mayWriteAt('a.git'), await access.isAdministrator(), access.isOpen, access.hasCredentials],
    [true, true, true, true],
  );
});

test('an administrator of a repository makes calls in its own name', async () => {
  const administrator: Authenticator = {
    ...reading,
    isAdministrator: async (_client, path) => path === 'public/a.git' || path === 'public/b.git',
    authenticate: async ({ operation, path }) =>
      path === 'public/b.git'
        ? { answer: { status: 403, text: 'Nothing is written there.' } }
        : { glId: `username-${operation}`, username: 'ann' },
  };
  const access = pageAccess(administrator, CLIENT);

  const calls = await access.administrationAt('public/a.git');

  const metadata = Object(calls?.metadata);
  assert.deepEqual(
    [metadata.user_id, metadata.username, metadata.remote_ip],
    ['username-write', 'ann', '192.0.2.1'],
  );
  for (const path of ['public/b.git', 'public/c.git', 'public/../public/a.git'])
    assert.equal(await access.administrationAt(path), undefined, path);
  assert.equal(await access.isAdministrator(), false);
  assert.equal(await pageAccess(reading, CLIENT).administrationAt('public/a.git'), undefined);
  assert.equal(
    Object((await pageAccess(undefined, CLIENT).administrationAt('a.git'))?.metadata).username,
    'git',
  );
});
