import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import { test } from 'node:test';
import { signUrl } from '#object-store/file/sign-url';
import { MemoryObjectStore } from '#object-store/memory/memory-store';
import { HttpRefusal } from '../refusal.ts';
import { serveBundle } from './serve-bundle.ts';

const KEY = 'default/a.git/uri/1.bundle';

/** A bundle that is removed after its headers were prepared. */
class VanishingStore extends MemoryObjectStore {
  override async head(
    ...given: Parameters<MemoryObjectStore['head']>
  ): ReturnType<MemoryObjectStore['head']> {
    const facts = await super.head(...given);
    await this.delete([KEY], given[1]);
    return facts;
  }
}

test('a bundle that is removed while it is requested is reported as missing', async () => {
  const store = new VanishingStore();
  const { signal } = new AbortController();
  await store.put(KEY, Readable.from([Buffer.from('a bundle')]), { signal });
  const secret = Buffer.alloc(32, 1);
  const ends: unknown[] = [];
  const server = createServer((request, response) => {
    const { searchParams } = new URL(request.url ?? '', 'http://localhost');
    const exchange = { request, response, query: String(searchParams), signal };
    void serveBundle(exchange, { store, secret })
      .catch((error: unknown) => ends.push(error))
      .finally(() => response.end());
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;

  await fetch(signUrl({ baseUrl: `http://127.0.0.1:${port}/`, secret }, KEY, 60_000)).catch(() => {});

  const [error] = ends;
  assert.ok(error instanceof HttpRefusal, String(error));
  assert.equal(error.answer.status, 404);
  server.closeAllConnections();
  server.close();
});
