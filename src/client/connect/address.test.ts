import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseAddress, type Target } from './address.ts';

const READABLE: readonly (readonly [string, Target])[] = [
  ['unix:/foo/bar.socket', { kind: 'unix', path: '/foo/bar.socket', tls: false }],
  ['unix:///foo/bar.socket', { kind: 'unix', path: '/foo/bar.socket', tls: false }],
  ['unix:foo/bar.socket', { kind: 'unix', path: 'foo/bar.socket', tls: false }],
  ['unix:../foo/bar.socket', { kind: 'unix', path: '../foo/bar.socket', tls: false }],
  ['unix:path/with/a/colon:/in/it', { kind: 'unix', path: 'path/with/a/colon:/in/it', tls: false }],
  ['tcp://1.2.3.4', { kind: 'host', host: '1.2.3.4', port: 443, tls: false }],
  ['tcp://foobar:567', { kind: 'host', host: 'foobar', port: 567, tls: false }],
  ['TCP://foobar:567', { kind: 'host', host: 'foobar', port: 567, tls: false }],
  ['tls://[2001:db8::1]:9999', { kind: 'host', host: '2001:db8::1', port: 9999, tls: true }],
  [
    'dns:gitaly.example',
    { kind: 'dns', host: 'gitaly.example', port: 443, tls: false, nameServer: undefined },
  ],
  [
    'dns:///gitaly.example:50051',
    { kind: 'dns', host: 'gitaly.example', port: 50051, tls: false, nameServer: undefined },
  ],
  ['dns:[fe80::1]:50051', { kind: 'dns', host: 'fe80::1', port: 50051, tls: false, nameServer: undefined }],
  ['dns:[2001:db8::1]', { kind: 'dns', host: '2001:db8::1', port: 443, tls: false, nameServer: undefined }],
  ['dns::50051', { kind: 'dns', host: 'localhost', port: 50051, tls: false, nameServer: undefined }],
  [
    'dns://1.1.1.1/a.b:1',
    { kind: 'dns', host: 'a.b', port: 1, tls: false, nameServer: { host: '1.1.1.1', port: 53 } },
  ],
  [
    'dns+tls://1.1.1.1:5353/a.b',
    { kind: 'dns', host: 'a.b', port: 443, tls: true, nameServer: { host: '1.1.1.1', port: 5353 } },
  ],
];

for (const [address, target] of READABLE) {
  test(`the address ${address} is parsed`, () => assert.deepEqual(parseAddress(address), target));
}

const REFUSED: readonly (readonly [string, string])[] = [
  ['', 'invalid connection string: ""'],
  ['.', 'invalid connection string: "."'],
  ['localhost:1234', 'invalid connection string: "localhost:1234"'],
  ['http://localhost', 'invalid connection string: "http://localhost"'],
  [
    'tcp://1.2.3.4/foo',
    `failed to extract host for 'tcp' connection: remote addresses should not have a path: "/foo"`,
  ],
  [
    'tls:///foo/bar',
    `failed to extract host for 'tls' connection: remote addresses should not have a path: "/foo/bar"`,
  ],
  [
    'tcp:/foo',
    `failed to extract host for 'tcp' connection: remote addresses should not have a path: "/foo"`,
  ],
  ['tcp:foo:1', `failed to extract host for 'tcp' connection: remote addresses should have a host`],
  ['tcp://', `failed to extract host for 'tcp' connection: remote addresses should have a host`],
  ['dns:', `failed to parse target for 'dns' connection: dns resolver: missing address`],
  ['dns://1.1.1.1/', `failed to parse target for 'dns' connection: dns resolver: missing address`],
  [
    'dns:[fe80::1]:',
    `failed to parse target for 'dns' connection: dns resolver: missing port after port-separator colon`,
  ],
  ['unix:', 'failed to dial "unix:" connection: no socket path'],
  ['unix://host/path', `failed to dial "unix://host/path" connection: invalid (non-empty) authority: host`],
];

for (const [address, message] of REFUSED) {
  test(`the address ${JSON.stringify(address)} is refused with Gitaly's text`, () => {
    assert.throws(() => parseAddress(address), { name: 'GitalyError', code: 'INVALID_ARGUMENT', message });
  });
}

for (const address of ['http://localhost:8080', 'https://git.example.com'])
  test(`the error about ${address} has a hint at the server's address`, () => {
    const hint =
      "This is an address for HTTP: dial the server's listen_addr, tcp://HOST:PORT or tls://HOST:PORT.";
    assert.throws(() => parseAddress(address), { hint });
  });
