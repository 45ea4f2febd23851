import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startGitHttpServer } from '#testkit/git-http-server';
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
});

test('a header with a line feed is refused', async () => {
  await assert.rejects(bodyOf({ url: 'http://127.0.0.1:1/x', authorization: 'a\nHost: b' }));
});
