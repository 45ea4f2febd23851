import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { startGitHttpServer } from '#testkit/servers/git-http-server';
import { download } from './download.ts';

const { signal } = new AbortController();
const PLAIN = { resolvedAddress: '', authorization: '', signal };

async function bodyOf(parts: Partial<Parameters<typeof download>[0]> & { url: string }): Promise<string> {
  return Buffer.concat(await Array.fromAsync(download({ ...PLAIN, ...parts }))).toString();
}

test('a file is downloaded from the given address, with the header', async () => {
  await using web = await startGitHttpServer('/');
  web.reset({ x: Buffer.from('content') });

  const url = `http://name.invalid:${web.port}/files/x`;
  const body = await bodyOf({ url, resolvedAddress: '127.0.0.1', authorization: 'Bearer abc' });

  assert.equal(body, 'content');
  const [call] = web.calls;
  assert.equal(call?.host, `name.invalid:${web.port}`);
  assert.equal(call.authorization, 'Bearer abc');
});

test('a server that does not answer, or stops in the middle, is left', async () => {
  await using web = await startGitHttpServer('/');
  web.reset(
    {},
    {
      '/silent': () => {},
      '/stops': (_request, response) => response.write('some'),
    },
  );
  const timeouts = { headerMs: 200, idleMs: 200 };

  await assert.rejects(bodyOf({ url: `${web.url}/silent`, timeouts }), {
    code: 'INTERNAL',
    message: `HTTP request failed: Get "${web.url}/silent": timeout awaiting response headers`,
  });
  await assert.rejects(bodyOf({ url: `${web.url}/stops`, timeouts: { ...timeouts, headerMs: 60_000 } }), {
    message: 'the server sends nothing',
  });
});

test('a redirect is an error', async () => {
  await using web = await startGitHttpServer('/');

  const downloading = bodyOf({ url: `${web.url}/redir/files/x` });

  await assert.rejects(downloading, { code: 'INTERNAL', message: 'HTTP server: 302 Found' });
  assert.equal(web.calls.length, 1);
});

test('a password in the URL is not in the error', async () => {
  const downloading = bodyOf({ url: 'http://user:secret@127.0.0.1:1/x' });

  await assert.rejects(downloading, {
    message:
      'HTTP request failed: Get "http://127.0.0.1:1/x": dial tcp 127.0.0.1:1: connect: connection refused',
  });
  await assert.rejects(bodyOf({ url: 'ftp://user:secret@host/x' }), {
    message: 'HTTP request failed: Get "ftp://host/x": unsupported protocol scheme "ftp"',
  });
  await assert.rejects(bodyOf({ url: 'http://user:secret@host:port/x' }), {
    message: 'Bad HTTP URL: parse "http://host:port/x": invalid port ":port" after host',
  });
  await assert.rejects(bodyOf({ url: 'http://user:secret%@host/x' }), {
    message: 'Bad HTTP URL: invalid user or password',
  });
});

test('a header with a line feed is refused', async () => {
  await assert.rejects(bodyOf({ url: 'http://127.0.0.1:1/x', authorization: 'a\nHost: b' }));
});

/** Counts connections, and responds with its name. */
async function startListener(host: string, name: string, port = 0) {
  let connections = 0;
  const server = createServer((_request, response) => response.end(name));
  server.on('connection', () => connections++);
  server.listen(port, host);
  await once(server, 'listening');
  return {
    // An address of a server on TCP is no text.
    port: (server.address() as AddressInfo).port,
    count: () => connections,
    [Symbol.asyncDispose]: async () => {
      server.close();
      await once(server, 'close');
    },
  };
}

// The address was ignored for a host that is one: clients could reach other servers.
const HOSTS = [
  '127.0.0.1',
  '0x7f.1',
  '127.1',
  '2130706433',
  '0177.0.0.1',
  '127.0.0.1.',
  '[::ffff:127.0.0.1]',
];
for (const host of [...HOSTS, 'localhost', 'LOCALHOST.', 'name.invalid', '%31%32%37.0.0.1']) {
  test(`the given address is used in place of ${host}`, async () => {
    await using right = await startListener('127.0.0.2', 'right');
    await using wrong = await startListener('127.0.0.1', 'wrong', right.port);
    const url = `http://${host}:${right.port}/x`;

    const got = await bodyOf({ url, resolvedAddress: '127.0.0.2' });

    assert.equal(got, 'right');
    assert.deepEqual([wrong.count(), right.count()], [0, 1]);
  });
}

test('the host of a pinned URL is still in the header', async () => {
  await using web = await startGitHttpServer('/');
  web.reset({ x: Buffer.from('content') });

  await bodyOf({ url: `http://10.0.0.1:${web.port}/files/x`, resolvedAddress: '127.0.0.1' });

  assert.equal(web.calls[0]?.host, `10.0.0.1:${web.port}`);
});
