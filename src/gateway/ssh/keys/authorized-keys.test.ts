import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseAuthorizedKeys } from './authorized-keys.ts';
import { newEd25519Key } from './openssh-key.ts';

// Made with ssh-keygen.
const ED25519 = 'AAAAC3NzaC1lZDI1NTE5AAAAIEKkNlTiBFRxuTlvJ2h3jxgtFwjBqiKOzrDdC2zvRJ0T';

/** Returns a key blob from its fields. */
function blob(...fields: Buffer[]): string {
  return Buffer.concat(
    fields.flatMap((field) => [Buffer.from([0, 0, field.length >> 8, field.length & 255]), field]),
  ).toString('base64');
}

const rsa = (bits: number) =>
  blob(
    Buffer.from('ssh-rsa'),
    Buffer.from([1, 0, 1]),
    Buffer.concat([Buffer.of(0, 0x80), Buffer.alloc(bits / 8 - 1, 1)]),
  );

test('keys are read with their line and comment', () => {
  const text =
    `# people\n\nssh-ed25519 ${ED25519} ann@laptop\r\n  ssh-ed25519\t${ED25519}   Bob B.  \n` +
    `ssh-ed25519 ${ED25519}`;

  const { keys, unused } = parseAuthorizedKeys(text);

  assert.deepEqual(unused, []);
  assert.deepEqual(
    keys.map(({ comment, line, type }) => [line, type, comment]),
    [
      [3, 'ssh-ed25519', 'ann@laptop'],
      [4, 'ssh-ed25519', 'Bob B.'],
      [5, 'ssh-ed25519', ''],
    ],
  );
  assert.equal(keys[0]?.data.toString('base64'), ED25519);
});

for (const options of [
  'restrict',
  'no-pty,no-X11-forwarding',
  'environment="A=b c,\\"d\\"",restrict',
  'PERMITOPEN="a:1"',
]) {
  test(`the options ${options} have no effect`, () => {
    const { keys } = parseAuthorizedKeys(`${options} ssh-ed25519 ${ED25519} ann`);

    assert.deepEqual([keys.length, keys[0]?.comment], [1, 'ann']);
  });
}

for (const [line, reason] of [
  [`command="git-shell" ssh-ed25519 ${ED25519} ann`, /cannot enforce the option command/],
  [`restrict,command="x y" ssh-ed25519 ${ED25519} ann`, /cannot enforce the option command/],
  [`from="10.0.0.0/8" ssh-ed25519 ${ED25519}`, /cannot enforce the option from/],
  [`expiry-time="20300101" ssh-ed25519 ${ED25519}`, /cannot enforce the option expiry-time/],
  [`cert-authority ssh-ed25519 ${ED25519}`, /cannot enforce the option cert-authority/],
  [`restrict,, ssh-ed25519 ${ED25519}`, /options cannot be parsed/],
  [`ssh-ed25519 AAAA${ED25519} ann`, /it is not a key of type ssh-ed25519/],
  [`ssh-rsa ${ED25519} ann`, /it is not a key of type ssh-rsa/],
  [`ssh-rsa ${rsa(1024)} ann`, /RSA keys need at least 2048 bits/],
  [`ssh-dss ${ED25519} ann`, /keys of type ssh-dss are not accepted/],
  ['ssh-ed25519', /not a public key/],
  ['-----BEGIN OPENSSH PRIVATE KEY-----', /not a public key/],
] as const) {
  test(`the line ${line.slice(0, 40)} is refused`, () => {
    const { keys, unused } = parseAuthorizedKeys(`${line}\nssh-ed25519 ${ED25519} other\n`);

    assert.deepEqual(
      keys.map(({ comment }) => comment),
      ['other'],
    );
    assert.equal(unused[0]?.line, 1);
    assert.match(unused[0]?.reason ?? '', reason);
  });
}

test('an RSA key of 2048 bits is long enough', () => {
  assert.equal(parseAuthorizedKeys(`ssh-rsa ${rsa(2048)}`).keys.length, 1);
});

test('a long line of quotes is parsed quickly', () => {
  const start = performance.now();

  parseAuthorizedKeys(`a="${'\\"'.repeat(100_000)}`);

  assert.ok(performance.now() - start < 1000);
});

test('a line may have 16384 bytes, and no more', () => {
  const key = (comment: number): string => `${newEd25519Key().public.trim()} ${'x'.repeat(comment)}`;
  const space = 16_384 - key(0).length;

  assert.equal(parseAuthorizedKeys(key(space)).keys.length, 1);
  assert.equal(parseAuthorizedKeys(key(space + 1)).keys.length, 0);
});

test('a line that is longer than any key is refused', () => {
  const text = `"${'\\"'.repeat(16 << 10)}\n`;

  assert.deepEqual(parseAuthorizedKeys(text), {
    keys: [],
    unused: [{ line: 1, reason: 'it is longer than 16384 bytes' }],
  });
});
