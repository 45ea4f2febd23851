import assert from 'node:assert/strict';
import { test } from 'node:test';
import { freePort } from '#base/network/listening-port';
import { Page, Reader } from './reader.ts';

test('docs/ten-minutes.md leads from nothing to a git hosting', async () => {
  const ports = { ':8080': `:${await freePort()}`, '9000': String(await freePort()) };
  await using someone = new Reader(() => ports);
  someone.add('node', process.execPath);
  someone.introduce();

  const output = await someone.follow(new Page('docs/ten-minutes.md'));

  assert.match(output, /"repository":"team\/app\.git".*"reference":"refs\/heads\/main"/, 'the webhook');
  assert.match(output, /"subject": "First"/, 'the console');
  assert.match(output, /rule 1 of the token denies it \(deny refs\/heads\/main\)/, 'the token');
  assert.match(output, /^[0-9a-f]{40}\trefs\/heads\/bot\/idea$/m, 'the fork');
  assert.match(output, /"outcome":"good"/, 'the backup');
  assert.match(output, /^First$/m, 'the restored repository');
});
