import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startGitaly } from '#testkit/start-gitaly';

const MAX_BYTES = 150_000;

// 1 MB, most of it series of methods that nobody had called.
test('the metrics of an idle server are small, and smaller compressed', async () => {
  await using gitaly = await startGitaly({ config: { prometheus_listen_addr: '127.0.0.1:0' } });
  const address = String(gitaly.log.find(({ msg }) => msg === 'starting prometheus listener')?.address);
  const url = `http://${address}/metrics`;

  const plain = await fetch(url, { headers: { 'accept-encoding': 'identity' } });
  const compressed = await fetch(url, { headers: { 'accept-encoding': 'gzip' } });

  const { length } = await plain.text();
  assert.ok(length <= MAX_BYTES, `${length} bytes`);
  assert.equal(compressed.headers.get('content-encoding'), 'gzip');
  assert.ok(Number(compressed.headers.get('content-length')) < MAX_BYTES / 5);
});
