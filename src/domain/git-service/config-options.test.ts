import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assertLinearTime } from '#testkit/measure/time-growth';
import { checkConfigKeys, parseConfigOptions } from './config-options.ts';

test('settings are split at the first equals sign', () => {
  assert.deepEqual(parseConfigOptions(['a.b=c=d', 'x.y=']), [
    { key: 'a.b', value: 'c=d' },
    { key: 'x.y', value: '' },
  ]);
});

test('a setting without an equals sign is refused', () => {
  assert.throws(() => parseConfigOptions(['a.b=c', 'core.x']), {
    message: 'cannot convert invalid config key: "core.x"',
  });
  assert.throws(() => parseConfigOptions(['']), { message: 'cannot convert invalid config key: ""' });
});

const REFUSED: readonly [key: string, words: string][] = [
  ['', 'not set'],
  ['nodot', 'key "nodot" must contain at least one section'],
  ['.a', 'key ".a" must not start or end with a dot'],
  ['a.', 'key "a." must not start or end with a dot'],
  [' foo.bar', 'key " foo.bar" failed regexp validation'],
  ['a.b\nc.d', 'key "a.b\\nc.d" failed regexp validation'],
];

for (const [key, words] of REFUSED) {
  test(`the key ${JSON.stringify(key)} is refused`, () => {
    assert.throws(() => checkConfigKeys([{ key, value: '' }]), {
      message: `invalid configuration key ${JSON.stringify(key)}: key: ${words}`,
    });
  });
}

test('keys with subsections and URLs pass', () => {
  checkConfigKeys(
    ['foo.bar', 'foo.bar.baz', 'http.https://user@example.com/repo.git.user'].map((key) => ({
      key,
      value: '',
    })),
  );
});

// 75 bytes took hours.
test('a key that nearly matches takes a linear time', async () => {
  for (const piece of ['.', 'a.', '.a', 'a'])
    await assertLinearTime((size) => {
      const key = `a.${piece.repeat(size / piece.length)}*.a`;
      checkConfigKeys([{ key, value: '' }]);
    });
  assert.throws(() => checkConfigKeys([{ key: `a.${'a.'.repeat(40)}=.a`, value: '' }]), /failed regexp/);
});
