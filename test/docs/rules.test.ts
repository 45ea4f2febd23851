import assert from 'node:assert/strict';
import { test } from 'node:test';
import { freePort } from '#base/network/listening-port';
import { Page, Reader } from './reader.ts';

test('docs/rules.md leads to a branch that only some may change', async () => {
  const ports = { ':8080': `:${await freePort()}` };
  await using someone = new Reader(() => ports);

  const output = await someone.follow(new Page('docs/rules.md'));

  assert.match(output, /^valid rules\.json$/m);
  assert.match(output, /rule 1 of "protected" of the repository does not allow bob to update it/);
  assert.match(output, /"largestFile": \[\{ "bytes": 10000000 \}\]/);
  assert.match(output, /^created bob\/app\.git, a fork of team\/app\.git$/m);
  assert.match(output, /^removed the rules of team\/app\.git$/m);
});
