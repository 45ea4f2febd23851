import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { startGitaly } from '#testkit/start-gitaly';
import { parseScope } from '#tokens/scope';
import { sshCommands } from './ssh-commands.ts';

test('a token renames repositories only from and to names in its scope', async () => {
  await using gitaly = await startGitaly();
  for (const relativePath of ['team/app.git', 'other/lib.git'])
    await gitaly.connection.repository.createRepository({
      repository: { storageName: 'default', relativePath },
    });
  const lfs = { directory: gitaly.directory, httpUrl: undefined, options: {} };
  const commands = sshCommands({ address: gitaly.address, storage: 'default' }, 'read', lfs);
  const scope = parseScope({ access: 'admin', repositories: ['team/**'] });
  const rename = async (from: string, to: string) => {
    const [stdout, stderr] = [new PassThrough(), new PassThrough()];
    const code = await commands.run({
      ...{ words: ['repo', 'rename', from, to], stdout, stderr, remoteAddress: undefined },
      identity: { glId: 'username-ann', username: 'ann', scope },
      signal: new AbortController().signal,
      onError: () => {},
    });
    return [code, (await text(stdout.end())) + (await text(stderr.end()))];
  };

  const missing = (name: string) => [1, `there is no repository ${name}\n`];
  assert.deepEqual(await rename('team/app', 'other/app'), missing('other/app'));
  assert.deepEqual(await rename('other/lib', 'team/lib'), missing('other/lib'));
  assert.deepEqual(await rename('team/app', 'team/b'), [0, 'renamed team/app.git to team/b.git\n']);
});
