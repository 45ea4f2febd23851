import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, get } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { sendAnswer, setStreamHeaders } from './answer.ts';

test('an answer replaces the prepared headers', async () => {
  const server = createServer((_request, response) => {
    response.setHeader('Content-Encoding', 'gzip');
    response.setHeader('ETag', '"1"');
    sendAnswer(response, { status: 404, text: 'not here', headers: { 'X-Reason': 'gone' } });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;

  const response = await fetch(`http://127.0.0.1:${port}/`);

  assert.equal(response.status, 404);
  assert.equal(await response.text(), 'not here\n');
  const { headers } = response;
  assert.deepEqual([headers.get('etag'), headers.get('content-encoding')], [null, null]);
  assert.equal(headers.get('x-reason'), 'gone');
  assert.equal(headers.get('content-length'), '9');
  server.closeAllConnections();
  server.close();
});

// git's own tests compare them.
test('the headers of a stream have the order of git http-backend', async () => {
  const server = createServer((_request, response) => {
    setStreamHeaders(response, 'application/x-git-upload-pack-result');
    response.end();
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;

  const [response] = await once(get(`http://127.0.0.1:${port}/`, { agent: false }), 'response');
  const names = response.rawHeaders.filter((_: string, index: number) => index % 2 === 0).slice(0, 4);
  response.resume();

  assert.deepEqual(names, ['Expires', 'Pragma', 'Cache-Control', 'Content-Type']);
  server.closeAllConnections();
  server.close();
});
