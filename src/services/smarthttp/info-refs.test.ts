import assert from 'node:assert/strict';
import { test } from 'node:test';
import { addCommit, gitOutput, initServed, referenceBackends } from '#testkit/repositories/init-repository';
import { FLUSH, packet } from '#testkit/repositories/push';
import { runGit } from '#testkit/repositories/run-git';
import { startGitaly } from '#testkit/start-gitaly';

const repository = { storageName: 'default', relativePath: 'r.git' };

for (const referenceBackend of referenceBackends()) {
  test(`InfoRefsReceivePack advertises what git receive-pack does (${referenceBackend})`, async () => {
    await using gitaly = await startGitaly();
    const path = initServed(gitaly, 'r.git', { referenceBackend });
    const oid = addCommit(path);
    gitOutput(path, ['tag', '-m', 'a tag', 'v1', oid]);
    gitOutput(path, ['update-ref', 'refs/hidden/x', oid]);

    const own = await advertised(gitaly.connection);
    const gits = await runGit(['receive-pack', '--http-backend-info-refs', path]);

    assert.ok(own.startsWith(packet('# service=git-receive-pack\n') + FLUSH));
    const [names, expected] = [own, gits].map((text) => text.match(/[0-9a-f]{40} [^\0\n]+/g));
    assert.deepEqual(
      names?.filter((line) => !line.includes('hidden')),
      expected?.filter((line) => !line.includes('hidden')),
    );
    const [capabilities = '', gitsCapabilities = ''] = [own, gits].map(
      (text) => /\0([^\n]*)/.exec(text)?.[1],
    );
    for (const word of gitsCapabilities.split(' '))
      assert.ok(capabilities.includes(word.replace(/^(agent|session-id)=.*/, '$1=')), word);
  });
}

test('InfoRefsReceivePack of an unknown repository is NOT_FOUND', async () => {
  await using gitaly = await startGitaly();

  await assert.rejects(advertised(gitaly.connection), { code: 'NOT_FOUND' });
});

interface Client {
  readonly smartHttp: {
    infoRefsReceivePack(request: object): AsyncIterable<{ readonly data: Uint8Array }>;
  };
}

async function advertised({ smartHttp }: Client): Promise<string> {
  const chunks: Uint8Array[] = [];
  for await (const { data } of smartHttp.infoRefsReceivePack({ repository })) chunks.push(data);
  return Buffer.concat(chunks).toString();
}
