import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GitExitError } from '#git/command/process/exit-error';
import { gitOutput, initRepository } from '#testkit/repositories/init-repository';
import { StorageFixture } from '#testkit/repositories/storage-fixture';
import { startGitaly } from '#testkit/start-gitaly';
import { RemoteRepositories } from './remote-repositories.ts';

const SERVERS = (address: string): string =>
  Buffer.from(JSON.stringify({ default: { address, token: '' } })).toString('base64');

test('a commit of a repository on another server is found there and fetched', async () => {
  await using gitaly = await startGitaly({ storages: ['default'] });
  await using fixture = await StorageFixture.create();
  const there = `${gitaly.directory}/default/there.git`;
  initRepository(there, { commits: 3 });
  const here = fixture.init('here.git', { commits: 1 });
  await using remotes = new RemoteRepositories();
  const { signal } = new AbortController();
  const target = { storageName: 'default', relativePath: 'there.git' };

  const remote = await remotes.open(target, { servers: SERVERS(gitaly.address), correlationId: 'x', signal });
  const oid = await remote.resolveCommit(Buffer.from('refs/heads/main^{commit}'));
  await remote.fetchInto(here, oid ?? '');

  assert.equal(oid, gitOutput(there, ['rev-parse', 'main']));
  assert.equal(gitOutput(here.path, ['rev-list', '--count', oid ?? '']), '3');
  assert.equal(gitOutput(here.path, ['for-each-ref', '--format=%(refname)']), 'refs/heads/main');
  assert.equal(await remote.hasBranches(), true);
  assert.equal(await remote.resolveCommit(Buffer.from('nope')), undefined);
  await assert.rejects(
    remote.fetchInto(here, '1'.repeat(40)),
    (error: unknown) => error instanceof GitExitError,
  );
});
