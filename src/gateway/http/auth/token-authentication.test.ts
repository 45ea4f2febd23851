import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Secret } from '#base/secret';
import { parseRepositoryPath, type RepositoryPath } from '#gateway/repository-path';
import { SIGN_IN, WRONG_CREDENTIALS } from './challenge.ts';
import { tokenAuthentication } from './token-authentication.ts';

const path = parseRepositoryPath('a.git') as RepositoryPath; // it is valid
const request = (authorization?: string) => ({
  ...{ headers: { authorization }, remoteAddress: '192.0.2.1', scheme: 'http' as const },
  ...{ path, operation: 'write' as const },
});

test('the token is accepted as bearer and as password, and makes an administrator', async () => {
  const authenticator = tokenAuthentication(new Secret('the-token'));
  for (const [authorization, expected] of [
    ['Bearer the-token', { glId: 'user-1', username: 'git' }],
    [`Basic ${btoa('anyone:the-token')}`, { glId: 'user-1', username: 'git' }],
    ['Bearer another', { answer: WRONG_CREDENTIALS }],
    [`Basic ${btoa('the-token:')}`, { answer: WRONG_CREDENTIALS }],
    ['Digest x', { answer: WRONG_CREDENTIALS }],
    [undefined, { answer: SIGN_IN }],
  ] as const) {
    const admission = await authenticator.authenticate(request(authorization));
    assert.deepEqual(admission, expected, String(authorization));
    assert.equal(await authenticator.isAdministrator?.(request(authorization)), !('answer' in expected));
  }
});

test('the user may be another one', async () => {
  const identity = { glId: 'user-7', username: 'ci' };
  const authenticator = tokenAuthentication(new Secret('the-token'), identity);

  assert.deepEqual(await authenticator.authenticate(request('Bearer the-token')), {
    ...identity,
  });
});
