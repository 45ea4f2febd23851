import assert from 'node:assert/strict';
import { duplexPair } from 'node:stream';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { until } from '#testkit/until';
import { answerClientError } from './http-connections.ts';

/** Returns what a client gets, and checks that its connection is closed. */
async function answerTo(code: string | undefined, { isAnswering = false } = {}): Promise<string> {
  const [socket, client] = duplexPair();
  const received = text(client);
  const error: NodeJS.ErrnoException = Object.assign(new Error('x'), code !== undefined && { code });

  answerClientError(error, socket, isAnswering);

  await until(() => socket.destroyed);
  client.destroy();
  return await received.catch(() => '');
}

test('bytes that are not HTTP are answered, with the reason', async () => {
  for (const [code, expected] of [
    [
      'ERR_HTTP_REQUEST_TIMEOUT',
      /^HTTP\/1\.1 408 .*\r\n\r\nThe request headers did not arrive in time\.\n$/s,
    ],
    ['HPE_HEADER_OVERFLOW', /^HTTP\/1\.1 431 .*The request headers are too large\.\n$/s],
    ['HPE_CHUNK_EXTENSIONS_OVERFLOW', /^HTTP\/1\.1 413 .*The chunk extensions/s],
    ['HPE_INVALID_METHOD', /^HTTP\/1\.1 400 .*Connection: close.*This is not an HTTP request\./s],
  ] as const) {
    const answer = await answerTo(code);
    assert.match(answer, expected);
    const [head = '', body = ''] = answer.split('\r\n\r\n');
    assert.ok(head.endsWith(`Content-Length: ${body.length}`));
  }
});

test('a lost connection, and one that is being answered, get nothing', async () => {
  assert.equal(await answerTo('ECONNRESET'), '');
  assert.equal(await answerTo(undefined), '');
  assert.equal(await answerTo('HPE_INVALID_METHOD', { isAnswering: true }), '');
});
