import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inspect } from 'node:util';
import { parseCredentials } from './credentials.ts';

const basic = (text: string) => `Basic ${Buffer.from(text).toString('base64')}`;

test('a name ends at the first colon, and the rest is the password', () => {
  const credentials = parseCredentials(basic('jörg:a:b '));

  assert.equal(credentials.kind === 'basic' && credentials.username, 'jörg');
  assert.equal(credentials.kind === 'basic' && credentials.password.reveal(), 'a:b ');
});

test('a token is used unchanged, with the scheme in any case', () => {
  const credentials = parseCredentials('bEARER abc.def-_~+/==');

  assert.equal(credentials.kind === 'bearer' && credentials.token.reveal(), 'abc.def-_~+/==');
});

for (const header of [
  '',
  'Basic',
  'Basic  ',
  basic('no colon'),
  'Digest abc',
  'Bearer a b',
  'Bearer \u0000',
  'abc',
]) {
  test(`${JSON.stringify(header)} is unusable`, () => {
    assert.deepEqual(parseCredentials(header), { kind: 'unusable' });
  });
}

test('printing credentials never prints the secret', () => {
  const credentials = [parseCredentials(basic('ann:hunter2')), parseCredentials('Bearer hunter2')];

  assert.doesNotMatch(inspect(credentials, { depth: 9 }) + JSON.stringify(credentials), /hunter2/);
});
