import assert from 'node:assert/strict';
import { test } from 'node:test';
import { signatureOf } from './signature.ts';

const PERSON = { name: Buffer.from('Ann'), email: Buffer.from('a@x'), timezone: '' };
const SPRING = 1_714_979_289n;

for (const [timezone, seconds, expected] of [
  ['', SPRING, '+0000'],
  ['UTC', SPRING, '+0000'],
  ['Asia/Kathmandu', SPRING, '+0545'],
  ['Asia/Kathmandu', 0n, '+0530'],
  ['America/St_Johns', SPRING, '-0230'],
  ['Australia/Lord_Howe', SPRING, '+1030'],
  ['Europe/Berlin', SPRING, '+0200'],
  ['Europe/Berlin', 1_700_000_000n, '+0100'],
  ['Etc/GMT+5', SPRING, '-0500'],
  ['US/Pacific', SPRING, '-0700'],
  ['Asia/Calcutta', SPRING, '+0530'],
  ['Europe/London', -10_000_000_000n, '-0001'],
  // Beyond the dates of JavaScript.
  ['Asia/Kathmandu', 9_000_000_000_000n, '+0545'],
  ['Asia/Kathmandu', 2n ** 62n, '+0545'],
] as const) {
  test(`in ${timezone || 'no zone'} the clock shows ${expected} at ${seconds}`, () => {
    assert.equal(signatureOf({ ...PERSON, timezone }, seconds).timezone, expected);
  });
}

for (const [timezone, message] of [
  ['Mars/Base', 'unknown time zone Mars/Base'],
  ['europe/berlin', 'unknown time zone europe/berlin'],
  ['x', 'unknown time zone x'],
  ['../etc/passwd', 'time: invalid location name'],
  ['/etc/passwd', 'time: invalid location name'],
] as const) {
  test(`there is no time zone ${timezone}`, () => {
    assert.throws(() => signatureOf({ ...PERSON, timezone }, SPRING), { code: 'INVALID_ARGUMENT', message });
  });
}

test('what would end a name or an address is left out of it, and nothing else', () => {
  const { name, email } = signatureOf(
    { ...PERSON, name: Buffer.from(' <A>\nnn, '), email: Buffer.from('a<@>x.') },
    SPRING,
  );

  assert.equal(Buffer.from(name).toString(), ' Ann, ');
  assert.equal(Buffer.from(email).toString(), 'a@x.');
});

test('the zone of the server has an offset at all times', () => {
  const { seconds, timezone } = signatureOf({ ...PERSON, timezone: 'Local' }, 2n ** 62n);

  assert.equal(seconds, 2n ** 62n);
  assert.match(timezone, /^[+-]\d{4}$/);
});

test('without a moment it is now', () => {
  const { seconds } = signatureOf(PERSON, undefined);

  assert.ok(Math.abs(Number(seconds) - Date.now() / 1000) < 60);
});

test('the zero value of a Go time is now', () => {
  // Gitaly 18.9 writes the present time into commits and tags for 0001-01-01T00:00:00Z.
  const { seconds } = signatureOf({ ...PERSON, timezone: 'Asia/Kathmandu' }, -62_135_596_800n);

  assert.ok(Math.abs(Number(seconds) - Date.now() / 1000) < 60);
});
