import assert from 'node:assert/strict';
import { test } from 'node:test';
import { acceptsGzip } from './accepts-gzip.ts';

// As RFC 9110, section 12.5.3, has it.
const CASES = [
  { header: undefined, accepts: false },
  { header: 'gzip, deflate, br', accepts: true },
  { header: 'br, GZIP;q=0.5', accepts: true },
  { header: 'gzip;q=0', accepts: false },
  { header: 'gzip; q=0.0, identity', accepts: false },
  { header: 'x-gzip', accepts: false },
];

for (const { header, accepts } of CASES)
  test(`Accept-Encoding ${header} ${accepts ? 'allows' : 'does not allow'} gzip`, () => {
    assert.equal(acceptsGzip(header), accepts);
  });
