import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encodeCallUser, userInHeaders } from './call-user.ts';
import { Metadata } from './metadata.ts';

const ANN = { id: 'username-ann', name: 'Ännchen', credential: { kind: 'key', name: 'läptop' } } as const;

test('the user of a gateway comes back as it was sent', () => {
  for (const user of [ANN, { id: 'user-1', name: 'ann' }])
    assert.deepEqual(userInHeaders(Metadata.from({ 'x-gitaly-user-bin': encodeCallUser(user) ?? '' })), user);
});

test("the user of GitLab's clients is in two headers", () => {
  const gitlab = { user_id: 'user-7', username: 'ann' };
  assert.deepEqual(userInHeaders(Metadata.from(gitlab)), { id: 'user-7', name: 'ann' });
  assert.equal(userInHeaders(Metadata.from({})), undefined);
  for (const invalid of ['{', '{"id":1}', '{"id":"a","name":"b","credential":{"kind":"x","name":""}}'])
    assert.deepEqual(userInHeaders(Metadata.from({ ...gitlab, 'x-gitaly-user-bin': Buffer.from(invalid) })), {
      id: 'user-7',
      name: 'ann',
    });
});

test('a user that is too long is not sent', () => {
  assert.equal(encodeCallUser({ id: 'a', name: 'a'.repeat(3000) }), undefined);
});
