import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AddressError, parseGrpcAddress, parseHttpAddress } from './listen-address.ts';

test('the address of the HTTP gateway is a host and a port', () => {
  assert.deepEqual(parseHttpAddress('127.0.0.1:8080'), { host: '127.0.0.1', port: 8080 });
  assert.deepEqual(parseHttpAddress('[::1]:0'), { host: '::1', port: 0 });
  for (const text of ['', '8080', ':8080', 'host', 'host:99999', '::1:80', 'http://host:80']) {
    assert.throws(() => parseHttpAddress(text), AddressError, text);
  }
});

test('the address for gRPC clients is a socket or a host and port', () => {
  assert.deepEqual(parseGrpcAddress('unix:/run/g.sock'), { socket_path: '/run/g.sock' });
  assert.deepEqual(parseGrpcAddress('unix:///run/g.sock'), { socket_path: '/run/g.sock' });
  assert.deepEqual(parseGrpcAddress('tcp://127.0.0.1:9999'), { listen_addr: '127.0.0.1:9999' });
  assert.deepEqual(parseGrpcAddress(':9999'), { listen_addr: ':9999' });
  for (const text of ['', '9999', '/run/g.sock', 'tls://host:1'])
    assert.throws(() => parseGrpcAddress(text), AddressError, text);
});
