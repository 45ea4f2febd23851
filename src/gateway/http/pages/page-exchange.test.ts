import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type TestContext, test } from 'node:test';
import type { PageAnswer, PageRequest } from './page-source.ts';
import { servePage } from './serve-page.ts';

/** Serves one answer, and records what the pages are asked. */
async function open(context: TestContext, answer: PageAnswer) {
  const asked: PageRequest[] = [];
  const pages = {
    answer: async (request: PageRequest) => {
      asked.push(request);
      return answer;
    },
  };
  const { signal } = new AbortController();
  const peer = { address: '192.0.2.1', scheme: 'https' } as const;
  const body = Buffer.from('a=b');
  const server = createServer((request, response) => {
    void servePage(
      { request, response, body, peer, signal, access: undefined, authenticator: undefined },
      pages,
    );
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  context.after(() => {
    server.closeAllConnections();
    server.close();
  });
  // A TCP server that listens has an address of this shape.
  const { port } = server.address() as AddressInfo;
  return { asked, signal, url: `http://127.0.0.1:${port}/-/console/a?b=c` };
}

const headers = { 'Content-Type': 'text/html' };

test('a page is asked for as the client asked, and sent with its length', async (context) => {
  const { asked, signal, url } = await open(context, { status: 404, headers, body: 'päge' });

  const response = await fetch(url, { method: 'POST', headers: { accept: 'text/html' } });
  const head = await fetch(url, { method: 'HEAD' });

  for (const { headers: sent, status } of [response, head])
    assert.deepEqual([status, sent.get('content-type'), sent.get('content-length')], [404, 'text/html', '5']);
  assert.deepEqual([await response.text(), await head.text()], ['päge', '']);
  const [first] = asked;
  assert.deepEqual([first?.method, first?.target], ['POST', '/-/console/a?b=c']);
  assert.deepEqual([first?.remoteAddress, first?.scheme, first?.signal], ['192.0.2.1', 'https', signal]);
  assert.equal(first?.headers.accept, 'text/html');
  assert.equal(String(first?.body), 'a=b');
});

test('a stream has no length and ends with its source', async (context) => {
  async function* stream() {
    yield 'one ';
    yield 'two';
  }
  const { url } = await open(context, { status: 200, headers, body: 'unused', stream: stream() });

  const response = await fetch(url);

  assert.deepEqual([response.status, response.headers.get('content-length')], [200, null]);
  assert.equal(await response.text(), 'one two');
});
