import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { test } from 'node:test';
import type { StatusCode } from '#base/gitaly-error';
import { dial } from '../dial.ts';
import { CallError } from './call-error.ts';
import { errorHint } from './error-hint.ts';

const CALL = { address: 'tls://gitaly:9999', rpc: '/gitaly.RefService/RefExists' };

const hint = (code: StatusCode, message = '', metadata = {}, limit?: { retryAfterMs: number }) =>
  errorHint({ ...CALL, code, message, metadata, limit });

test('a call that was not sent has a hint for its connection', () => {
  const unsent = (message: string) => hint('UNAVAILABLE', message, { unsent: true });

  assert.match(unsent('ssl3_get_record:wrong version number') ?? '', /does not speak TLS: use tcp:\/\//);
  assert.match(
    unsent('authentication handshake failed: wrong version number') ?? '',
    /does not speak TLS: use tcp:\/\//,
  );
  assert.equal(
    unsent('authentication handshake failed: self-signed certificate'),
    'The certificate of tls://gitaly:9999 is not trusted: name the file (PEM) of its CA in SSL_CERT_FILE, ' +
      "or pass it as dial's tls.ca.",
  );
  assert.match(
    unsent("authentication handshake failed: Hostname/IP does not match certificate's altnames") ?? '',
    /^The certificate of tls:\/\/gitaly:9999 has other names: /,
  );
  assert.match(
    unsent('authentication handshake failed: certificate has expired') ?? '',
    /has expired: renew/,
  );
  assert.equal(
    unsent('connection refused'),
    'Nothing was sent. Check that a server listens on tls://gitaly:9999, and that you may connect to it.',
  );
  assert.equal(hint('UNAVAILABLE', 'connection refused'), undefined);
});

test('a call to an HTTP gateway has a hint for the address', async () => {
  const gateway = createServer((_, response) => void response.end());
  await once(gateway.listen(0, '127.0.0.1'), 'listening');
  const address = gateway.address();
  assert.ok(typeof address === 'object' && address !== null);
  const connection = await dial(`tcp://127.0.0.1:${address.port}`);

  const error: unknown = await connection.server.serverInfo({}).catch((reason: unknown) => reason);

  await connection.close();
  gateway.close();
  assert.ok(error instanceof CallError);
  assert.match(error.hint ?? '', /HTTP gateway, dial the server's listen_addr/);
});

test('a text in the place of bytes names the field', async () => {
  const server = createServer();
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const address = server.address();
  assert.ok(typeof address === 'object' && address !== null);
  const connection = await dial(`tcp://127.0.0.1:${address.port}`);
  // As a program in JavaScript does.
  const request = JSON.parse('{ "ref": "refs/heads/main" }');

  const error: unknown = await connection.ref.refExists(request).catch((reason: unknown) => reason);

  await connection.close();
  server.close();
  assert.match(String(error), /RefExistsRequest\.ref is bytes: pass Buffer\.from\(text\)/);
});

test('a limit says when to repeat the call', () => {
  assert.equal(
    hint('RESOURCE_EXHAUSTED', 'busy', {}, { retryAfterMs: 250 }),
    'The server is at its limit: repeat the call after 250 ms at the earliest.',
  );
});

test('a code has a hint, some only with the text that the server is known to send', () => {
  for (const [code, message, expected] of [
    ['UNAUTHENTICATED', 'authentication required', /^Pass the token of tls:\/\/gitaly:9999 to dial/],
    ['PERMISSION_DENIED', 'permission denied: invalid token', /is another than the server's/],
    ['PERMISSION_DENIED', 'permission denied: wrong hmac signature', /one of the clocks is off/],
    ['PERMISSION_DENIED', 'GitLab: no token', undefined],
    ['INVALID_ARGUMENT', 'storage name not found', /compare storageName with \[\[storage\]\]/],
    ['INVALID_ARGUMENT', 'empty revision', undefined],
    ['NOT_FOUND', 'repository not found', /^There is no repository at this path of tls:/],
    ['NOT_FOUND', 'reference not found', undefined],
    ['UNIMPLEMENTED', '', /does not have \/gitaly\.RefService\/RefExists/],
    ['DEADLINE_EXCEEDED', '', /^\/gitaly\.RefService\/RefExists took longer than its deadline/],
    [
      'RESOURCE_EXHAUSTED',
      'received message larger than max (5 vs. 4)',
      /raise dial's maxReceiveMessageBytes/,
    ],
    ['RESOURCE_EXHAUSTED', 'out of memory', undefined],
    ['INTERNAL', '', undefined],
  ] as const) {
    const found = hint(code, message);
    if (expected === undefined) assert.equal(found, undefined, `${code} ${message}`);
    else assert.match(found ?? 'none', expected);
  }
});
