import assert from 'node:assert/strict';
import { test } from 'node:test';
import { withDoubleDashes, withFlagValues, withoutFlagValues } from './double-dashes.ts';

const KNOWN = new Set(['version', 'config', 'virtual-storage']);

test('known long options with one dash get the second one', () => {
  assert.deepEqual(withDoubleDashes(['-version', '-config=x', '-virtual-storage', 'v', '--config'], KNOWN), [
    '--version',
    '--config=x',
    '--virtual-storage',
    'v',
    '--config',
  ]);
});

test('short options, unknown names, values and what stands after -- stay as they are', () => {
  const args = ['-v', '-x1', '-confi', '-', 'config', '--', '-config'];

  assert.deepEqual(withDoubleDashes(args, KNOWN), args);
});

test('flags without a value are true', () => {
  const flags = new Set(['f', 'apply']);
  assert.deepEqual(
    withFlagValues(['-f', '1', '--apply', '-apply=false', '--f=', '-x', 'apply', '--', '-f'], flags),
    ['--f=true', '1', '--apply=true', '--apply=false', '--f=true', '-x', 'apply', '--', '-f'],
  );
});

test('a flag is set or not by the last of its values', () => {
  const flags = new Set(['f', 'g']);
  assert.deepEqual(
    withoutFlagValues(
      ['--f=true', '--x=true', '--g', '--g=0', '--g=yes', '--f', 'f=1', '--', '--f=1'],
      flags,
    ),
    ['--f', '--x=true', '--g=yes', '--f', 'f=1', '--', '--f=1'],
  );
});
