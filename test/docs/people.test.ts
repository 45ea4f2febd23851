import assert from 'node:assert/strict';
import { test } from 'node:test';
import { freePort } from '#base/network/listening-port';
import { NO_OPENSSH } from '#testkit/clients/ssh-client';
import { Page, Reader } from './reader.ts';

test('docs/people.md leads from nothing to a team', { skip: NO_OPENSSH }, async () => {
  const ports = { ':8080': `:${await freePort()}`, '2222': String(await freePort()) };
  await using someone = new Reader(() => ports);
  someone.introduce();

  const output = await someone.follow(new Page('docs/people.md'), /^\[\[/m);

  assert.match(
    output,
    /^You are logged in as ann\..*\nLogged in with the key laptop\.\nYou may: admin everything/m,
  );
  assert.match(output, /^hello\.git\nteam\/app\.git\nteam\/site\.git$/m, 'the repositories');
  assert.match(output, /^ann {2}admin {2}key laptop SHA256:/m, 'the list');
  assert.equal(
    output.match(/^[0-9a-f]{40}\trefs\/heads\/main$/gm)?.length,
    2,
    'the token and the deploy key',
  );
  assert.match(output, /Authentication failed/, 'nothing is left of Bob');
});
