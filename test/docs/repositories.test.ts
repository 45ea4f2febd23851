import assert from 'node:assert/strict';
import { test } from 'node:test';
import { freePort } from '#base/network/listening-port';
import { Page, Reader } from './reader.ts';

test('docs/repositories.md leads to a described repository and a mirror of it', async () => {
  const ports = { ':8080': `:${await freePort()}` };
  await using someone = new Reader(() => ports);

  const output = await someone.follow(new Page('docs/repositories.md'));

  assert.match(output, /^created team\/app\.git$/m);
  assert.match(output, /^trunk$/m, 'the first push decides');
  assert.match(output, /"defaultBranch": "next",\s+"description": "The web site"/);
  assert.match(output, /^mirrors\/site\.git .* updated /m);
  assert.match(output, /refs\/heads\/mine: rule 1 of "readOnly" .* allows no change: it is a mirror of http/);
  assert.match(output, /^mirrors\/site\.git is no mirror any more$/m);
});
