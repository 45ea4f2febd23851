import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isLoopback, joinHostPort, splitHostPort } from './host-port.ts';

for (const [address, host, port] of [
  ['localhost:8075', 'localhost', 8075],
  ['10.0.0.1:0', '10.0.0.1', 0],
  [':8075', '', 8075],
  ['[::1]:8075', '::1', 8075],
  ['[]:8075', '', 8075],
  ['tcp://localhost:8075', 'localhost', 8075],
  ['tls://[fe80::1%eth0]:9999', 'fe80::1%eth0', 9999],
] as const) {
  test(`${address} is host ${JSON.stringify(host)} and port ${port}`, () => {
    assert.deepEqual(splitHostPort(address), { host, port });
  });
}

for (const address of ['', 'localhost', 'localhost:', 'localhost:http', '::1:8075', 'x [::1]:1']) {
  test(`${JSON.stringify(address)} is no address`, () => {
    assert.throws(() => splitHostPort(address), {
      code: 'INVALID_ARGUMENT',
      message: `listen tcp: address ${address}: expected HOST:PORT`,
    });
  });
}

test('a host and a port are joined with brackets around IPv6', () => {
  assert.equal(joinHostPort('::1', 1), '[::1]:1');
  assert.equal(joinHostPort('a.b', 2), 'a.b:2');
});

test('loopback addresses are reachable only from this machine', () => {
  assert.deepEqual(['127.0.0.1', '127.1.2.3', 'localhost', '::1'].map(isLoopback), [true, true, true, true]);
  assert.deepEqual(['0.0.0.0', '192.168.0.1', 'example.org'].map(isLoopback), [false, false, false]);
});
