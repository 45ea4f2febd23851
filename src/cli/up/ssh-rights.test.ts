import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseScope } from '#tokens/scope';
import { descriptionOf, holderOf } from './ssh-rights.ts';

const ANN = { glId: 'username-ann', username: 'ann' };

test('a token has the right of its scope, and with rules for pushes at most write', async () => {
  const repositories = ['team/**'];
  const right = (scope: object, path: string) =>
    holderOf({ ...ANN, scope: parseScope({ repositories, ...scope }) }, 'admin').at(path);

  assert.equal(await right({ access: 'admin' }, 'team/a.git'), 'admin');
  assert.equal(await right({ access: 'admin' }, 'other/a.git'), undefined);
  assert.equal(await right({ access: 'read' }, 'team/a.git'), 'read');
  const references = [{ allow: 'refs/heads/x' }];
  assert.equal(await right({ access: 'admin', references }, 'team/a.git'), 'write');
});

test('the description names the key or token, and the rights', async () => {
  const credential = { kind: 'token', name: 'abc' } as const;
  const scope = parseScope({ access: 'write', repositories: ['a', 'b/**'] });
  const token = { ...ANN, credential, scope };

  assert.deepEqual(await descriptionOf(holderOf(token, 'admin'), token), [
    'Logged in with the token abc.',
    'You may: write a, b/**.',
  ]);
  assert.deepEqual(await descriptionOf(holderOf(ANN, 'write'), ANN), ['You may: write everything.']);
  const nothing = { ...ANN, rights: { at: async () => undefined, grants: async () => [] } };
  assert.deepEqual(await descriptionOf(holderOf(nothing, 'admin'), nothing), ['You may: nothing.']);
});
