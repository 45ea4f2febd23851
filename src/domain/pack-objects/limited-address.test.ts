import assert from 'node:assert/strict';
import { test } from 'node:test';
import { limitedAddress } from './limited-address.ts';

const CASES: readonly [text: string, address: string | undefined][] = [
  ['192.0.2.7', '192.0.2.7'],
  ['192.0.2.7:443', '192.0.2.7'],
  ['2001:DB8:0::1', '2001:db8::1'],
  ['[2001:db8::1]:80', '2001:db8::1'],
  ['::ffff:192.0.2.7', '192.0.2.7'],
  ['127.0.0.1', undefined],
  ['127.1.2.3:80', undefined],
  ['::1', undefined],
  ['::ffff:127.0.0.1', undefined],
  ['', undefined],
  ['localhost', undefined],
  ['300.1.1.1', undefined],
  ['fe80::1%eth0', undefined],
];

for (const [text, address] of CASES) {
  test(`${text || 'nothing'} is limited as ${address ?? 'nobody'}`, () => {
    assert.equal(limitedAddress(text), address);
  });
}
