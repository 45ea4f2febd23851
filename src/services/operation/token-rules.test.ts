import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Repository } from '#client/repository/index';
import { callMetadata } from '#gateway/call-metadata';
import { createSmallRepository, REPOSITORY } from '#testkit/clients/operation-fixture';
import { gitOutput } from '#testkit/repositories/init-repository';
import { startGitaly } from '#testkit/start-gitaly';
import { parseScope } from '#tokens/scope';

const SCOPE = {
  access: 'write',
  repositories: ['**'],
  references: [{ deny: 'refs/heads/main' }, { deny: 'refs/tags/**' }, { allow: 'refs/heads/bot/**' }],
};
const REFUSED = /of the token/;

test('changes for a user are checked by the rules of the token in their metadata', async () => {
  await using gitaly = await startGitaly();
  const { oid, path } = createSmallRepository(gitaly, Buffer.from('one\n'));
  const { storageName: storage, relativePath, glRepository } = REPOSITORY;
  const user = { name: 'Bot', email: 'bot@x', id: 'user-9', username: 'bot' };
  const repository = new Repository(gitaly.connection, { storage, path: relativePath, glRepository, user });
  const identity = { glId: user.id, username: user.username, scope: parseScope(SCOPE) };
  const metadata = callMetadata({
    identity,
    remoteAddress: undefined,
  });
  const message = 'change';
  const files = { 'b.txt': 'two\n' };

  const made = await repository.commit({
    branch: 'bot/a',
    start: { branch: 'main' },
    message,
    files,
    metadata,
  });

  const attempts: Readonly<Record<string, () => Promise<unknown>>> = {
    commit: () => repository.commit({ branch: 'main', message, files, metadata }),
    merge: () => repository.merge({ source: 'bot/a', into: 'main', message, metadata }),
    cherryPick: () => repository.cherryPick({ commit: made, onto: 'main', message, metadata }),
    revert: () => repository.revert({ commit: oid, onto: 'main', message, metadata }),
    createBranch: () => repository.createBranch('other', 'main', { metadata }),
    createTag: () => repository.createTag('v1', 'main', { metadata }),
    deleteBranch: () => repository.deleteBranch('main', { allowDefault: true, metadata }),
  };
  for (const [name, attempt] of Object.entries(attempts))
    await assert.rejects(attempt, ({ message, stderr = '' }) => REFUSED.test(message + stderr), name);
  const references = gitOutput(path, ['for-each-ref', '--format=%(refname) %(objectname)']);
  assert.equal(references, `refs/heads/bot/a ${made}\nrefs/heads/main ${oid}`);
  const wrong = { ...metadata, 'x-gitaly-reference-rules-bin': Buffer.from('{') };
  await assert.rejects(repository.createBranch('bot/b', 'main', { metadata: wrong }), {
    name: 'CallError',
  });
  assert.equal(gitOutput(path, ['branch', '--list', 'bot/b']), '');
});
