import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encodeHooksPayload } from '#testkit/values/hooks-payload';
import { decodeHooksPayload, HOOK_BITS, type HooksPayload } from './payload.ts';

const PAYLOAD: HooksPayload = {
  requestedHooks: 15,
  featureFlags: [{ name: 'some_flag', onByDefault: false, enabled: true }],
  repository: {
    storageName: 'default',
    relativePath: 'a.git',
    gitObjectDirectory: 'objects/incoming',
    gitAlternateObjectDirectories: ['objects'],
    glRepository: 'project-1',
    glProjectPath: 'group/project',
  },
  objectFormat: 'sha256',
  runtimeDirectory: '/run',
  internalSocket: '/run/intern',
  internalSocketToken: 'token',
  transaction: { id: 7n, node: 'gitaly-1', primary: true, backchannelId: 3 },
  user: { username: 'jane', userId: 'user-1', protocol: 'http', remoteIp: '10.0.0.1' },
  transactionId: 4,
  clientContext: Buffer.from([0x63, 0xff]),
};

const variable = (json: object) =>
  `GITALY_HOOKS_PAYLOAD=${Buffer.from(JSON.stringify(json)).toString('base64')}`;

test('the bits of the hooks are those of Gitaly, whose hook program reads them', () => {
  assert.deepEqual(Object.entries(HOOK_BITS), [
    ['reference-transaction', 1],
    ['update', 2],
    ['pre-receive', 4],
    ['post-receive', 8],
    ['pack-objects', 16],
    ['proc-receive', 32],
  ]);
});

test('a payload survives the environment', () => {
  assert.deepEqual(decodeHooksPayload([`GITALY_HOOKS_PAYLOAD=${encodeHooksPayload(PAYLOAD)}`]), PAYLOAD);
});

test('the first payload counts, and missing parts have their defaults', () => {
  const first = variable({
    repository: '{"storage_name":"s","relative_path":"r"}',
    user_details: null,
    transaction: null,
  });

  const payload = decodeHooksPayload([
    'PATH=/bin',
    first,
    variable({ repository: '{}', requested_hooks: 1 }),
  ]);

  assert.deepEqual(
    [
      payload.repository.storageName,
      payload.repository.relativePath,
      payload.requestedHooks,
      payload.transactionId,
    ],
    ['s', 'r', 31, 0],
  );
  assert.deepEqual(
    [payload.objectFormat, payload.runtimeDirectory, payload.internalSocket, payload.internalSocketToken],
    ['', '', '', ''],
  );
  assert.deepEqual(
    [payload.user, payload.transaction, payload.clientContext],
    [undefined, undefined, undefined],
  );
});

test('a payload of Gitaly 15.0 is read, whose user and flags have other names', () => {
  const old = variable({
    requested_hooks: 15,
    feature_flags: { 'gitaly-feature-some-flag': 'true', 'gitaly-feature-other': 'false', 'x-other': 'true' },
    repository: '{"storageName":"s","relativePath":"r"}',
    runtime_dir: '/run',
    internal_socket: '/run/internal.sock',
    internal_socket_token: 'token',
    transaction: null,
    receive_hooks_payload: { username: 'jane', userid: 'user-1', protocol: 'ssh' },
  });

  const { featureFlags, requestedHooks, user } = decodeHooksPayload([old]);

  assert.deepEqual(user, { username: 'jane', userId: 'user-1', protocol: 'ssh', remoteIp: '' });
  assert.deepEqual(
    featureFlags.map(({ name, enabled }) => [name, enabled]),
    [
      ['some_flag', true],
      ['other', false],
    ],
  );
  assert.equal(requestedHooks, 15);
});

test('parts without their fields are read as Go reads them: empty', () => {
  const payload = decodeHooksPayload([
    variable({ repository: '{}', user_details: {}, feature_flags_with_value: [{}] }),
  ]);

  assert.deepEqual(payload.user, { username: '', userId: '', protocol: '', remoteIp: '' });
  assert.deepEqual(payload.featureFlags, [{ name: '', onByDefault: false, enabled: false }]);
  assert.deepEqual(payload.repository, {
    storageName: '',
    relativePath: '',
    gitObjectDirectory: '',
    gitAlternateObjectDirectories: [],
    glRepository: '',
    glProjectPath: '',
  });
});

const BROKEN: readonly [environment: string[], words: string][] = [
  [[], 'no hooks payload found in environment'],
  [['GITALY_HOOKS_PAYLOAD'], 'no hooks payload found in environment'],
  [['GITALY_HOOKS_PAYLOAD=!!!'], 'illegal base64 data at input byte 0'],
  [['GITALY_HOOKS_PAYLOAD=ew'], 'illegal base64 data at input byte 0'],
  [['GITALY_HOOKS_PAYLOAD='], 'unexpected end of JSON input'],
  [['GITALY_HOOKS_PAYLOAD=ew=='], 'unexpected end of JSON input'],
  [[variable({ repository: '{' })], 'proto:\u00a0unexpected EOF'],
  [[variable({})], 'proto:\u00a0syntax error (line 1:1): unexpected token '],
];

for (const [environment, words] of BROKEN) {
  test(`a payload that cannot be read says ${JSON.stringify(words)}`, () => {
    assert.throws(() => decodeHooksPayload(environment), { message: words });
  });
}
