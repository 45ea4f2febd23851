import assert from 'node:assert/strict';
import { test } from 'node:test';
import { dearmor } from './openpgp-armor.ts';

test('headers before the blank line are not part of the data', () => {
  const data = Buffer.from('some bytes of a signature');
  const armored = (headers: readonly string[]): Buffer =>
    Buffer.from(
      ['-----BEGIN X-----', ...headers, '', data.toString('base64'), '=AAAA', '-----END X-----'].join('\n'),
    );

  assert.deepEqual(dearmor('X', armored([])), data);
  assert.deepEqual(dearmor('X', armored(['Version: 1', 'Comment: of somebody'])), data);
});
