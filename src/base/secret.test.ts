import assert from 'node:assert/strict';
import { test } from 'node:test';
import { format, inspect } from 'node:util';
import { Secret } from './secret.ts';

test('every way of printing a secret prints [secret]', () => {
  const secret = new Secret('hunter2');

  const printed = [
    `${secret}`,
    String(secret),
    JSON.stringify({ secret }),
    inspect({ deep: { secret } }),
    format('%s %o', secret, secret),
  ];

  for (const text of printed) {
    assert.match(text, /\[secret\]/);
    assert.doesNotMatch(text, /hunter2/);
  }
  assert.doesNotMatch(JSON.stringify(Object.entries(secret)), /hunter2/);
});

test('reveal returns the value', () => {
  assert.equal(new Secret('hunter2').reveal(), 'hunter2');
});
