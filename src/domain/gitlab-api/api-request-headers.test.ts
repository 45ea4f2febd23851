import assert from 'node:assert/strict';
import { test } from 'node:test';
import { jwtVerify } from 'jose';
import { replaceMethod } from '#testkit/replace-method';
import { ApiRequestHeaders } from './api-request-headers.ts';

test('each second has a token, which begins with it', async (context) => {
  let nowMs = 1_600_000_000_900;
  replaceMethod(context, Date, 'now', () => nowMs);
  const key = Buffer.from('secret');
  const headers = new ApiRequestHeaders({ key, userAgent: 'x' });
  const token = (): string => headers.of({ correlationId: '' })['Gitlab-Shell-Api-Request'] ?? '';

  const first = token();
  nowMs += 99;
  assert.equal(token(), first);
  for (const stepMs of [1, 1000, 86_400_000, -5000]) {
    nowMs += stepMs;
    const currentDate = new Date(nowMs);
    const { payload } = await jwtVerify(token(), key, { currentDate });
    assert.equal(payload.iat, Math.floor(nowMs / 1000));
    assert.equal(payload.exp, Math.floor(nowMs / 1000) + 60);
  }
});
