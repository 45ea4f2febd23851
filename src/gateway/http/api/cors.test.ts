import assert from 'node:assert/strict';
import { test } from 'node:test';
import { API_REPOSITORY, startApi } from '#testkit/servers/start-api';
import { AllowedOrigins } from './cors.ts';

const OURS = 'https://app.example.com';
const OTHER = 'https://other.example.com';

test('pages of the sites that are named may use the API, others not', async () => {
  await using api = await startApi({ api: { storage: 'default', origins: [OURS] } });
  const ask = async (origin: string, method = 'PATCH') =>
    await fetch(`${api.url}${API_REPOSITORY}/references/refs/heads/topic`, {
      method: 'OPTIONS',
      headers: { Origin: origin, 'Access-Control-Request-Method': method, 'Sec-Fetch-Site': 'cross-site' },
    });
  const from = (origin: string) => ({ headers: { Origin: origin, 'Sec-Fetch-Site': 'cross-site' } });
  const body = { branch: 'main', message: 'By a page', files: { 'page.txt': '' } };

  const allowed = await ask(OURS);
  assert.equal(allowed.status, 204);
  assert.equal(allowed.headers.get('access-control-allow-origin'), OURS);
  assert.match(allowed.headers.get('access-control-allow-methods') ?? '', /PATCH/);
  assert.match(allowed.headers.get('access-control-allow-headers') ?? '', /Authorization.*If-Match/);
  assert.equal(allowed.headers.get('access-control-allow-credentials'), null);
  const refused = await ask(OTHER);
  assert.deepEqual([refused.status, refused.headers.get('access-control-allow-origin')], [403, null]);

  const read = await api.send('GET', 'commits/main', from(OURS));
  assert.equal(read.headers.get('access-control-allow-origin'), OURS);
  assert.match(read.headers.get('access-control-expose-headers') ?? '', /ETag/);
  assert.match(read.headers.get('vary') ?? '', /Origin/);
  const missing = await api.send('GET', 'commits/none', from(OURS));
  assert.deepEqual([missing.status, missing.headers.get('access-control-allow-origin')], [404, OURS]);
  const hidden = await api.send('GET', 'commits/main', from(OTHER));
  assert.equal(hidden.headers.get('access-control-allow-origin'), null);
  assert.equal((await api.send('POST', 'commits', { body, ...from(OURS) })).status, 201);
  assert.equal((await api.send('POST', 'commits', { body, ...from(OTHER) })).status, 403);
});

test('what is no origin is refused', () => {
  for (const origin of ['*', 'app.example.com', 'https://app.example.com/', 'null', 'file:///x'])
    assert.throws(() => new AllowedOrigins([origin]), {
      name: 'TypeError',
      message: `${origin} is no origin: write it as https://app.example.com`,
    });
});
