import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Metadata } from '#rpc/common/metadata';
import { enabledFlagNames, type FeatureFlag, flagHeader, RequestFlags } from './feature-flags.ts';

const ON: FeatureFlag = { name: 'some_flag', onByDefault: true };
const OFF: FeatureFlag = { name: 'other_flag', onByDefault: false };

function requestFlags(headers: Record<string, string>, env: NodeJS.ProcessEnv = {}) {
  const checks: string[] = [];
  const metadata = Metadata.from(headers);
  return {
    checks,
    flags: new RequestFlags(metadata, {
      env,
      onChecked: (name, enabled) => checks.push(`${name}=${enabled}`),
    }),
  };
}

test('a flag that is not in the request has its default and is not counted', () => {
  const { flags, checks } = requestFlags({});

  assert.deepEqual([flags.isEnabled(ON), flags.isEnabled(OFF)], [true, false]);
  assert.deepEqual(checks, []);
});

test('a flag in the request is on for "true" and off for any other value, and is counted', () => {
  const { flags, checks } = requestFlags({
    'gitaly-feature-some-flag': 'TRUE',
    'gitaly-feature-other-flag': 'true',
  });

  assert.deepEqual([flags.isEnabled(ON), flags.isEnabled(OFF)], [false, true]);
  assert.deepEqual(checks, ['some_flag=false', 'other_flag=true']);
});

test('the Ruby-era header switches a flag unless the plain one is sent', () => {
  const ruby = requestFlags({ 'gitaly-feature-ruby-other-flag': 'true' });
  assert.equal(ruby.flags.isEnabled(OFF), true);
  assert.deepEqual(ruby.checks, ['other_flag=true']);

  const both = { 'gitaly-feature-ruby-other-flag': 'true', 'gitaly-feature-other-flag': 'false' };
  assert.equal(requestFlags(both).flags.isEnabled(OFF), false);
});

test('the environment can enable every flag', () => {
  const { flags } = requestFlags(
    { 'gitaly-feature-some-flag': 'false' },
    { GITALY_TESTING_ENABLE_ALL_FEATURE_FLAGS: 'true' },
  );

  assert.deepEqual([flags.isEnabled(ON), flags.isEnabled(OFF)], [true, true]);
});

test('a request can require that every checked flag is set', () => {
  const { flags } = requestFlags({
    require_explicit_feature_flag_checks: 'true',
    'gitaly-feature-some-flag': 'true',
  });

  assert.equal(flags.isEnabled(ON), true);
  assert.throws(() => flags.isEnabled(OFF), {
    message: 'feature flag "other_flag" is not set by the request',
  });
});

test('undeclared flags are passed on', () => {
  const { flags } = requestFlags({
    'gitaly-feature-zebra-flag': 'true',
    'gitaly-feature-off': 'false',
    'gitaly-feature-a1': 'true',
    'user-agent': 'x',
  });

  assert.deepEqual(
    flags.sent(),
    new Map([
      ['zebra_flag', true],
      ['off', false],
      ['a1', true],
    ]),
  );
});

test('the log has the enabled flags in order, whatever the call before had', () => {
  const namesOf = enabledFlagNames();
  const names = (headers: Record<string, string | string[]>) => namesOf(Metadata.from(headers));
  const [zebra, first] = ['gitaly-feature-zebra-flag', 'gitaly-feature-a1'];

  assert.equal(names({ [zebra]: 'true', 'gitaly-feature-off': 'false', [first]: 'true' }), 'a1 zebra_flag');
  assert.equal(names({ [zebra]: 'true', 'gitaly-feature-off': 'false', [first]: 'false' }), 'zebra_flag');
  assert.equal(names({ [zebra]: 'true' }), 'zebra_flag');
  assert.equal(names({ [zebra]: ['false', 'true'] }), undefined);
  assert.equal(names({ [first]: 'true' }), 'a1');
  assert.equal(names({ 'user-agent': 'x' }), undefined);
});

test('names become header keys with dashes', () => {
  assert.equal(flagHeader('mailmap_options'), 'gitaly-feature-mailmap-options');
});
