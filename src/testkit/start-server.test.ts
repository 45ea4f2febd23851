import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { test } from 'node:test';
import { dial } from '#client/index';
import { flagCombinations, startGitaly, startInternalApi, startVotingServer } from './index.ts';
import { until } from './until.ts';

const user = { glId: 'user-1', name: Buffer.from('Jane'), email: Buffer.from('jane@example.com') };

test('a cluster answers like one server, and every node has the same commits', async () => {
  await using gitaly = await startGitaly({ cluster: 3, token: 'secret' });
  const repository = await gitaly.createRepository({ commits: 2 });

  const { branch } = await gitaly.connection.operation.userCreateBranch({
    repository,
    user,
    branchName: Buffer.from('topic'),
    startPoint: Buffer.from('main'),
  });

  assert.equal(gitaly.nodes.length, 3);
  assert.equal(branch?.targetCommit?.id, await gitaly.askGit(repository, ['rev-parse', 'main']));
  assert.equal(repository.paths.length, 3);
  const references = await Promise.all(
    repository.paths.map((path, index) => {
      const storageName = `gitaly-${index + 1}`;
      assert.ok(path.startsWith(gitaly.storagePath(storageName)));
      const replica = { storageName, relativePath: repository.relativePath };
      return gitaly.nodes[index]?.askGit(replica, ['for-each-ref']);
    }),
  );
  assert.match(references[0] ?? '', /refs\/heads\/topic/);
  assert.deepEqual(new Set(references).size, 1);
  await using anonymous = await dial(gitaly.address);
  await assert.rejects(anonymous.repository.repositoryExists({ repository }), { code: 'UNAUTHENTICATED' });
});

test('a write outlasts a node that refuses it or is closed', async () => {
  await using gitaly = await startGitaly({ cluster: 3, dial: { retry: false } });
  const repository = await gitaly.createRepository({ commits: 1 });
  const create = (name: string) =>
    gitaly.connection.operation.userCreateBranch({
      repository,
      user,
      branchName: Buffer.from(name),
      startPoint: Buffer.from('main'),
    });
  for (const { faults } of gitaly.nodes) faults.add('UserCreateBranch', { refuse: 'INTERNAL', times: 1 });
  gitaly.faults.add('UserDeleteBranch', { refuse: 'ABORTED' });

  await assert.rejects(create('one'), { code: 'INTERNAL', message: 'injected fault' });
  await create('two');
  await assert.rejects(
    gitaly.connection.operation.userDeleteBranch({ repository, user, branchName: Buffer.from('two') }),
    { code: 'ABORTED' },
  );

  assert.equal(await gitaly.askGit(repository, ['branch', '--list', 'two', 'one']), '  two');
});

test('closing a cluster removes its directories; a second close waits', async () => {
  const gitaly = await startGitaly({ cluster: 1 });
  const directories = [gitaly.directory, ...gitaly.nodes.map(({ directory }) => directory)];

  await Promise.all([gitaly.close(), gitaly.close()]);

  assert.deepEqual(directories.map(existsSync), [false, false]);
});

// Born failing: the server went on, in a directory that had been removed, and held the process.
test('a server whose connection cannot be made is stopped', async () => {
  let socket = '';
  const dialOptions = { metadata: { 'not a key': 'x' } };
  const config = (directory: string) => {
    socket = `${directory}/gitaly.socket`;
    return { listen_addr: '127.0.0.1:0' };
  };
  const listening = () => process.getActiveResourcesInfo().filter((name) => name === 'TCPServerWrap').length;
  const before = listening();

  await assert.rejects(startGitaly({ config, dial: dialOptions }), /illegal characters/);

  assert.equal(listening(), before);
  assert.equal(existsSync(socket), false);
});

for (const { options, message } of [
  { options: { clustr: 3 }, message: 'startGitaly has no option "clustr"; did you mean "cluster"?' },
  { options: { cluster: 0 }, message: /"cluster" is a number of Gitalys/ },
  { options: { cluster: 2, tls: true }, message: /"tls" has no effect in a cluster/ },
  { options: { praefectConfig: {} }, message: /needs the option "cluster"/ },
]) {
  test(`startGitaly refuses ${JSON.stringify(options)}`, async () => {
    await assert.rejects(startGitaly(options as object), { name: 'TypeError', message });
  });
}

test('a voting server decides on the changes of a call', async () => {
  await using gitaly = await startGitaly({ token: 'secret' });
  await using voting = await startVotingServer(gitaly.address, { token: 'secret' });
  const repository = await gitaly.createRepository({ commits: 1 });
  const newOid = await gitaly.askGit(repository, ['rev-parse', 'main']);
  const write = (ref: string) =>
    voting.connection.repository.writeRef(
      { repository, ref: Buffer.from(ref), revision: Buffer.from(newOid) },
      { metadata: voting.metadata() },
    );

  await write('refs/heads/accepted');
  voting.decide = () => 'ABORT';
  await assert.rejects(write('refs/heads/refused'));

  const branches = await gitaly.askGit(repository, ['for-each-ref', '--format=%(refname:short)']);
  assert.equal(branches, 'accepted\nmain');
  assert.deepEqual([...new Set(voting.votes.map(({ node }) => node))], ['gitaly-1']);
});

// Born failing: the error was an uncaught exception, which ends the whole run.
test('an internal API that cannot listen is an error', async () => {
  await assert.rejects(startInternalApi({ socketPath: '/nowhere/at/all' }), { syscall: 'listen' });
});

test('a stand-in for the internal API refuses a change, also of a cluster', async () => {
  await using internalApi = await startInternalApi();
  await using gitaly = await startGitaly({ cluster: 2, internalApi });
  const repository = await gitaly.createRepository({ commits: 1 });
  internalApi.reset({ '/allowed': [401, { status: false, message: 'not today' }] });

  const refused = gitaly.connection.operation.userCreateBranch({
    repository,
    user,
    branchName: Buffer.from('topic'),
    startPoint: Buffer.from('main'),
  });

  await assert.rejects(refused, { message: 'running pre-receive hooks: GitLab: not today' });
  assert.deepEqual([...new Set(internalApi.calls.map(({ path }) => path))], ['/allowed']);
});

for (const flags of flagCombinations('mailmap_options')) {
  test(`a call carries its flags: ${flags.name}`, async () => {
    await using gitaly = await startGitaly();
    const repository = await gitaly.createRepository();
    const files = { '.mailmap': 'New Name <ann@example.com>\n' };
    await repository.commit({ files, author: { name: 'Old Name', email: 'ann@example.com' } });

    const { commit } = await gitaly.connection.commit.findCommit(
      { repository, revision: Buffer.from('main') },
      flags.options,
    );

    const isOn = flags.isEnabled('mailmap_options');
    const format = isOn ? '%aN' : '%an';
    const expected = await gitaly.askGit(repository, ['log', '-1', `--format=${format}`]);
    assert.equal(Buffer.from(commit?.author?.name ?? []).toString(), expected);
    await until(() => gitaly.log.some((line) => line['grpc.method'] === 'FindCommit'));
    const line = gitaly.log.find((entry) => entry['grpc.method'] === 'FindCommit');
    assert.equal(line?.feature_flags, isOn ? 'mailmap_options' : undefined);
  });
}
