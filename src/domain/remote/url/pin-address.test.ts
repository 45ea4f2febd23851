import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pinAddress } from './pin-address.ts';

const resolve = (value: string) => ({ key: 'http.curloptResolve', value });

for (const [url, address, expected] of [
  ['http://x.test/a.git', '1.2.3.4', { url: 'http://x.test/a.git', config: [resolve('x.test:80:1.2.3.4')] }],
  [
    'https://X.test:8443/a.git',
    '1.2.3.4',
    { url: 'https://X.test:8443/a.git', config: [resolve('x.test:8443:1.2.3.4')] },
  ],
  [
    'https://x.test./a.git',
    '::1',
    { url: 'https://x.test./a.git', config: [resolve('x.test.:443:::1'), resolve('x.test:443:::1')] },
  ],
  ['http://1.2.3.4/a', '1.2.3.4', { url: 'http://1.2.3.4/a', config: [resolve('1.2.3.4:80:1.2.3.4')] }],
  ['ssh://git@x.test:22/a.git', '1.2.3.4', { url: 'ssh://git@1.2.3.4/a.git', config: [] }],
  ['ssh://x.test/a.git', '2001:db8::1', { url: 'ssh://[2001:db8::1]/a.git', config: [] }],
  ['git@x.test:a/b.git', '1.2.3.4', { url: 'git@1.2.3.4:a/b.git', config: [] }],
  ['http://x.test/a.git', '', { url: 'http://x.test/a.git', config: [] }],
] as const) {
  test(`${url} is reached at ${address || 'its own address'}`, () => {
    const { url: pinned, config, env } = pinAddress(url, address);

    assert.deepEqual({ url: pinned, config }, expected);
    assert.deepEqual(env, {});
  });
}

test('git\u2019s own protocol connects to the address and names the host', () => {
  const pinned = pinAddress('git://x.test/a.git', '1.2.3.4');

  assert.equal(pinned.url, 'git://1.2.3.4:9418/a.git');
  assert.deepEqual(pinned.env, { GIT_OVERRIDE_VIRTUAL_HOST: 'x.test:9418' });
});

for (const [url, address, message] of [
  ['http://x.test/', 'x', 'resolved address has invalid IPv4/IPv6 address'],
  ['http://x.test/', '1.2.3.4/24', 'resolved address has invalid IPv4/IPv6 address'],
  ['/a/b.git', '1.2.3.4', 'invalid protocol/URL encountered: /a/b.git'],
  ['ftp://x.test/a', '1.2.3.4', 'invalid protocol/URL encountered: ftp://x.test/a'],
  ['a/b:c', '1.2.3.4', "SSH URLs with '/' before colon are unsupported"],
  // curl would look none of these up by the pinned name
  ['http://127.0.0.1/', '1.2.3.4', 'resolved address differs from the address in the URL'],
  ['http://2130706433/', '1.2.3.4', 'resolved address differs from the address in the URL'],
  ['http://0x7f.1/', '1.2.3.4', 'resolved address differs from the address in the URL'],
  ['http://[::1]/', '1.2.3.4', 'resolved address differs from the address in the URL'],
  ['http://%78.test/', '1.2.3.4', 'invalid host: "%78.test"'],
  ['http://x.test\\@y.test/', '1.2.3.4', undefined],
  ['http://x,y/', '1.2.3.4', 'invalid host: "x,y"'],
] as const) {
  test(`${url} cannot be pinned to ${address}`, () => {
    if (message === undefined) {
      // The host is what follows the last @, for curl too.
      assert.deepEqual(pinAddress(url, address).config, [resolve('y.test:80:1.2.3.4')]);
      return;
    }
    assert.throws(() => pinAddress(url, address), { code: 'INVALID_ARGUMENT', message });
  });
}
