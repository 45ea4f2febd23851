import assert from 'node:assert/strict';
import { test } from 'node:test';
import { jwtVerify } from 'jose';
import { signWebToken } from './api-request-headers.ts';

const CLAIMS = { iss: 'gitlab-shell', iat: 1_600_000_000, exp: 1_600_000_060 };

test('a token is what another implementation accepts, with its claims', async () => {
  for (const length of [1, 32, 64, 65, 200]) {
    const key = Buffer.alloc(length, 'é');

    const { payload, protectedHeader } = await jwtVerify(signWebToken(CLAIMS, key), key, {
      currentDate: new Date(CLAIMS.iat * 1000),
    });

    assert.deepEqual(payload, CLAIMS);
    assert.deepEqual(protectedHeader, { alg: 'HS256', typ: 'JWT' });
  }
});

test('another key does not accept it', async () => {
  await assert.rejects(jwtVerify(signWebToken(CLAIMS, Buffer.from('one')), Buffer.from('two')), {
    code: 'ERR_JWS_SIGNATURE_VERIFICATION_FAILED',
  });
});
