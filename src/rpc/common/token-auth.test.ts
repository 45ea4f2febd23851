import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { test } from 'node:test';
import { checkToken, signToken, tokenChecker } from './token-auth.ts';

const SECRET = 'the secret';
const NOW = 1_700_000_000;

function header(
  message: string,
  options: { scheme?: string; version?: string; secret?: string } = {},
): string {
  const signature = createHmac('sha256', options.secret ?? SECRET)
    .update(message)
    .digest('hex');
  return `${options.scheme ?? 'Bearer'} ${options.version ?? 'v2'}.${signature}.${message}`;
}

test('a signed token is accepted with the same secret', () => {
  assert.equal(checkToken(SECRET, signToken(SECRET, NOW + 0.9), NOW), undefined);
  assert.equal(signToken(SECRET, NOW + 0.9), header(String(NOW)));
});

test('the scheme and the hex digits are case-insensitive', () => {
  const [, , token = ''] = /^(\w+) (.*)$/.exec(header(String(NOW))) ?? [];
  const [version, signature = '', message] = token.split('.');

  assert.equal(checkToken(SECRET, header(String(NOW), { scheme: 'bEARER' }), NOW), undefined);
  assert.equal(checkToken(SECRET, `Bearer ${version}.${signature.toUpperCase()}.${message}`, NOW), undefined);
});

for (const skew of [-30, -29.5, 0, 29.5, 30]) {
  test(`a token ${skew} s off is accepted`, () => {
    assert.equal(checkToken(SECRET, header(String(NOW)), NOW - skew), undefined);
  });
}

test('a token more than 30 s old has expired', () => {
  assert.deepEqual(checkToken(SECRET, header(String(NOW)), NOW + 30.001), {
    code: 'PERMISSION_DENIED',
    message: 'permission denied: token has expired',
    reason: 'token has expired',
  });
});

test('a token more than 30 s ahead is from the future', () => {
  assert.equal(
    checkToken(SECRET, header(String(NOW)), NOW - 30.001)?.message,
    "permission denied: token's validity window is in future",
  );
});

for (const [name, value] of [
  ['no header', undefined],
  ['an empty header', ''],
  ['another scheme', header(String(NOW), { scheme: 'Basic' })],
  ['two parts', 'Bearer v2.abcd'],
  ['a signature that is no hex', 'Bearer v2.zz.1'],
  ['an odd number of hex digits', 'Bearer v2.abc.1'],
  ['an unknown version with a bad signature', 'Bearer v1.zz.1'],
] as const) {
  test(`${name} needs authentication`, () => {
    assert.deepEqual(checkToken(SECRET, value, NOW), {
      code: 'UNAUTHENTICATED',
      message: 'authentication required',
      reason: undefined,
    });
  });
}

test('another version is refused before its signature is checked, and is not counted', () => {
  assert.deepEqual(checkToken(SECRET, 'Bearer v1.00.1', NOW), {
    code: 'PERMISSION_DENIED',
    message: 'permission denied: invalid token version',
    reason: undefined,
  });
});

for (const [name, value] of [
  ['of another secret', header(String(NOW), { secret: 'another' })],
  ['that is cut short', 'Bearer v2.abcd.1700000000'],
  ['that is empty', 'Bearer v2..1700000000'],
] as const) {
  test(`a signature ${name} is wrong`, () => {
    assert.equal(checkToken(SECRET, value, NOW)?.message, 'permission denied: wrong hmac signature');
  });
}

for (const [message, expected] of [
  ['12.5', 'parsing "12.5": invalid syntax'],
  ['', 'parsing "": invalid syntax'],
  ['1700000000 ', 'parsing "1700000000 ": invalid syntax'],
  ['9223372036854775808', 'parsing "9223372036854775808": value out of range'],
] as const) {
  test(`a signed message ${JSON.stringify(message)} is not a time`, () => {
    const refusal = checkToken(SECRET, header(message), NOW);

    assert.equal(
      refusal?.message,
      `permission denied: cannot parse timestamp: strconv.ParseInt: ${expected}`,
    );
    assert.equal(refusal?.reason, 'cannot parse timestamp');
  });
}

test('a remembered token is valid exactly as long as an unknown one', () => {
  const check = tokenChecker(SECRET);
  const token = header(String(NOW));
  assert.equal(check(token, NOW), undefined);

  for (const nowSeconds of [NOW, NOW + 30, NOW - 30, NOW + 30.001, NOW - 30.001])
    assert.deepEqual(check(token, nowSeconds), checkToken(SECRET, token, nowSeconds), `${nowSeconds}`);
});

test('a token that differs from a remembered one is checked', () => {
  const check = tokenChecker(SECRET);
  const token = header(String(NOW));
  check(token, NOW);

  assert.equal(check(token.replace(String(NOW), String(NOW + 1)), NOW)?.reason, 'wrong hmac signature');
  assert.equal(check(undefined, NOW)?.code, 'UNAUTHENTICATED');
});
