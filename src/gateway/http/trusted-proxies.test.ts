import assert from 'node:assert/strict';
import { IncomingMessage } from 'node:http';
import { Socket } from 'node:net';
import { test } from 'node:test';
import { TrustedProxies } from './trusted-proxies.ts';

function peerOf(networks: readonly string[], remoteAddress: string, headers: Record<string, string>) {
  const socket = Object.defineProperty(new Socket(), 'remoteAddress', { value: remoteAddress });
  return new TrustedProxies(networks).peerOf(Object.assign(new IncomingMessage(socket), { headers }));
}

const HEADERS = { 'x-forwarded-for': '6.6.6.6, 203.0.113.9, 10.0.0.2', 'x-forwarded-proto': 'https' };

test("the address of an untrusted peer is the client's", () => {
  assert.deepEqual(peerOf([], '10.0.0.1', HEADERS), { address: '10.0.0.1', scheme: 'http' });
  assert.deepEqual(peerOf(['10.1.0.0/16'], '10.0.0.1', HEADERS), { address: '10.0.0.1', scheme: 'http' });
});

test('behind trusted proxies the client is the last address that is not one of them', () => {
  assert.deepEqual(peerOf(['10.0.0.0/8'], '10.0.0.1', HEADERS), { address: '203.0.113.9', scheme: 'https' });
  assert.deepEqual(peerOf(['10.0.0.0/8'], '::ffff:10.0.0.1', HEADERS), {
    address: '203.0.113.9',
    scheme: 'https',
  });
  assert.deepEqual(peerOf(['fd00::/8'], 'fd00::1', { 'x-forwarded-for': '2001:db8::1' }), {
    address: '2001:db8::1',
    scheme: 'http',
  });
});

test('an invalid address ends the list, and a list of only proxies gives the first of them', () => {
  assert.equal(
    peerOf(['10.0.0.0/8'], '10.0.0.1', { 'x-forwarded-for': '1.2.3.4, unknown' }).address,
    '10.0.0.1',
  );
  assert.equal(
    peerOf(['10.0.0.0/8'], '10.0.0.1', { 'x-forwarded-for': '10.0.0.3,10.0.0.2' }).address,
    '10.0.0.3',
  );
  assert.deepEqual(peerOf(['10.0.0.1'], '10.0.0.1', { 'x-forwarded-proto': 'gopher' }), {
    address: '10.0.0.1',
    scheme: 'http',
  });
});

for (const network of [
  '',
  'proxy.example.com',
  '10.0.0.0/33',
  '10.0.0.0/-1',
  'fd00::/129',
  '10.0.0',
  '1.2.3.4/8/8',
]) {
  test(`${JSON.stringify(network)} is not a network`, () => {
    assert.throws(() => new TrustedProxies([network]), /expected an address or a network/);
  });
}
