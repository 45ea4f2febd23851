import assert from 'node:assert/strict';
import { test } from 'node:test';
import { freePort } from '#base/network/listening-port';
import { Page, Reader } from './reader.ts';

test('docs/api.md leads from nothing to a merge', async () => {
  const ports = { ':8080': `:${await freePort()}` };
  await using someone = new Reader(() => ports);
  someone.introduce();

  const output = await someone.follow(new Page('docs/api.md'));

  assert.match(output, /^\{"path":"team\/app\.git","defaultBranch":null,"description":""\}$/m);
  assert.match(output, /^# App$/m, 'the file');
  assert.match(output, /"result":"fast-forward"/, 'the check of the merge');
  assert.match(output, /"ahead":1,"behind":0/, 'the comparison');
  const [, id = ''] =
    /"type":"urn:gitaly-ts:problem:reference-changed".*"current":"([0-9a-f]{40})"/.exec(output) ?? [];
  assert.ok(output.includes(`{"id":"${id}"}`), 'the merge is the commit of now');
});
