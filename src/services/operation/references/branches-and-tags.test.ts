import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import {
  changeLeftovers,
  createSmallRepository,
  REPOSITORY,
  USER_IN_TOKYO,
  writeScript,
} from '#testkit/clients/operation-fixture';
import { runGit } from '#testkit/repositories/run-git';
import { startInternalApi } from '#testkit/servers/internal-api';
import { type CastVote, startVotingServer } from '#testkit/servers/voting-server';
import { startGitaly, type TestGitaly } from '#testkit/start-gitaly';
import { until } from '#testkit/until';

const ZERO_OID = '0'.repeat(40);
const NEW_BRANCH = {
  repository: REPOSITORY,
  user: USER_IN_TOKYO,
  branchName: Buffer.from('new'),
  startPoint: Buffer.from('main'),
};
const NEW_TAG = {
  repository: REPOSITORY,
  user: USER_IN_TOKYO,
  tagName: Buffer.from('v1'),
  targetRevision: Buffer.from('main'),
  message: Buffer.from('one'),
  timestamp: { seconds: 1_700_000_000n },
};
const sha1 = (text: string): string => createHash('sha1').update(text).digest('hex');

/** Names of references, and what a failed change may have left. */
async function remains(
  gitaly: TestGitaly,
  path: string,
): Promise<{ refs: string; objects: number; left: string[] }> {
  const refs = await runGit(['-C', path, 'for-each-ref', '--format=%(refname)']);
  const objects = (await runGit(['-C', path, 'cat-file', '--batch-all-objects', '--batch-check'])).split(
    '\n',
  ).length;
  return { refs, objects, left: changeLeftovers(gitaly, path) };
}

const UNTOUCHED = { refs: 'refs/heads/main', objects: 2, left: [] };

test('hooks run in order; those before the change see the new object in a quarantine', async () => {
  await using gitaly = await startGitaly({ customHooks: true });
  const { path } = createSmallRepository(gitaly);
  const log = join(gitaly.directory, 'log');
  for (const hook of ['pre-receive', 'update', 'post-receive']) {
    const find = 'oid=$3; [ "$oid" ] || read old oid ref';
    const where = '[ "$GIT_OBJECT_DIRECTORY" ] && echo quarantine || echo repository';
    writeScript(
      join(gitaly.directory, `custom_hooks/${hook}.d/x`),
      `${find}; echo ${hook} $GL_ID $GL_PROTOCOL $(git cat-file -t $oid) $(${where}) $(git ` +
        `for-each-ref refs/tags | wc -l) >> ${log}`,
    );
  }

  await gitaly.connection.operation.userCreateTag(NEW_TAG);

  assert.deepEqual(readFileSync(log, 'utf8').trim().split('\n'), [
    'pre-receive user-1 web tag quarantine 0',
    'update user-1 web tag repository 0',
    'post-receive user-1 web tag repository 1',
  ]);
  const text = await runGit(['-C', path, 'cat-file', 'tag', 'v1']);
  assert.match(text, /tagger Jane <jane@x> 1700000000 \+0900\n\none$/);
  assert.equal(await runGit(['-C', path, 'fsck', '--strict', '--no-dangling']), '');
});

for (const { hook, code, left } of [
  { hook: 'pre-receive', code: 'PERMISSION_DENIED', left: UNTOUCHED },
  // The tag object is in the repository by then; housekeeping removes it.
  { hook: 'update', code: 'PERMISSION_DENIED', left: { ...UNTOUCHED, objects: 3 } },
]) {
  test(`a ${hook} script that refuses leaves the references as they were`, async () => {
    await using gitaly = await startGitaly({ customHooks: true });
    const { path } = createSmallRepository(gitaly);
    writeScript(join(gitaly.directory, `custom_hooks/${hook}.d/x`), 'echo no; exit 3');

    const call = gitaly.connection.operation.userCreateTag(NEW_TAG);

    await assert.rejects(call, {
      code,
      message: `reference update denied by custom hooks: running ${hook} hooks: no\n`,
    });
    assert.deepEqual(await remains(gitaly, path), left);
  });
}

test('what a chatty script prints is cut, and the call still answers', async () => {
  await using gitaly = await startGitaly({ customHooks: true });
  createSmallRepository(gitaly);
  writeScript(
    join(gitaly.directory, 'custom_hooks/pre-receive.d/x'),
    'head -c 3000000 /dev/zero | tr "\\0" x >&2; exit 1',
  );

  const call = gitaly.connection.operation.userCreateBranch(NEW_BRANCH);

  await assert.rejects(call, { code: 'PERMISSION_DENIED' });
});

test('in a cluster a change is voted on in four steps, and hooks are waited for', async () => {
  await using gitaly = await startGitaly();
  const { oid } = createSmallRepository(gitaly);
  await using cluster = await startVotingServer(gitaly.address);

  await cluster.connection.operation.userCreateBranch(NEW_BRANCH, { metadata: cluster.metadata() });

  const change = sha1(`${ZERO_OID} ${oid} refs/heads/new\n`);
  assert.deepEqual(
    cluster.votes.map(({ phase, hash }) => [phase, hash]),
    [
      ['SYNCHRONIZED_PHASE', sha1('synchronize pre-receive hook')],
      ['SYNCHRONIZED_PHASE', sha1('synchronize update hook')],
      ['PREPARING_PHASE', change],
      ['PREPARED_PHASE', change],
      ['COMMITTED_PHASE', change],
      ['SYNCHRONIZED_PHASE', sha1('synchronize post-receive hook')],
    ],
  );
});

for (let lost = 1; lost <= 6; lost++) {
  test(`a tag whose vote ${lost} is lost ${lost < 5 ? 'is not made' : 'was made already'}`, async () => {
    await using gitaly = await startGitaly();
    const { path } = createSmallRepository(gitaly);
    await using cluster = await startVotingServer(gitaly.address);
    cluster.decide = () => (cluster.votes.length === lost ? 'ABORT' : 'COMMIT');

    const call = cluster.connection.operation.userCreateTag(NEW_TAG, { metadata: cluster.metadata() });

    await assert.rejects(call, {
      code: 'INTERNAL',
      message: /^updating reference: .*transaction was aborted$/,
    });
    const { refs, left } = await remains(gitaly, path);
    assert.equal(refs, lost < 5 ? 'refs/heads/main' : 'refs/heads/main\nrefs/tags/v1');
    assert.deepEqual(left, []);
    assert.equal(await runGit(['-C', path, 'fsck', '--strict', '--no-dangling']), '');
  });
}

test('only the primary asks GitLab and runs scripts; when they refuse it tells the others', async () => {
  await using api = await startInternalApi();
  await using gitaly = await startGitaly({ internalApi: api });
  const { path } = createSmallRepository(gitaly);
  await using cluster = await startVotingServer(gitaly.address);
  api.reset({ '/allowed': [200, { status: false, message: 'no' }] });

  const primary = cluster.connection.operation.userCreateTag(NEW_TAG, {
    metadata: cluster.metadata({ id: 7 }),
  });
  await assert.rejects(primary, { code: 'PERMISSION_DENIED' });
  assert.deepEqual(cluster.stopped, [7n]);
  assert.deepEqual(await remains(gitaly, path), UNTOUCHED);
  api.reset();

  await cluster.connection.operation.userCreateTag(NEW_TAG, {
    metadata: cluster.metadata({ primary: false }),
  });
  assert.deepEqual(api.calls, []);
});

test('a client that leaves while a script runs changes nothing', async () => {
  await using gitaly = await startGitaly({ customHooks: true });
  const { path } = createSmallRepository(gitaly);
  const started = join(gitaly.directory, 'started');
  writeScript(join(gitaly.directory, 'custom_hooks/pre-receive.d/x'), `touch ${started}; exec sleep 60`);
  const controller = new AbortController();

  const call = gitaly.connection.operation.userCreateTag(NEW_TAG, { signal: controller.signal });
  call.catch(() => {});
  await until(() => existsSync(started));
  controller.abort();

  await assert.rejects(call, { code: 'CANCELLED' });
  await until(async () => (await remains(gitaly, path)).left.length === 0);
  assert.deepEqual(await remains(gitaly, path), UNTOUCHED);
});

test('of many who create the same branch one wins, and the others are told so', async () => {
  await using gitaly = await startGitaly();
  const { path, oid } = createSmallRepository(gitaly);

  const calls = Array.from({ length: 12 }, () => gitaly.connection.operation.userCreateBranch(NEW_BRANCH));
  const outcomes = await Promise.allSettled(calls);

  assert.equal(outcomes.filter(({ status }) => status === 'fulfilled').length, 1);
  for (const outcome of outcomes) {
    if (outcome.status === 'rejected') {
      assert.equal(outcome.reason.code, 'FAILED_PRECONDITION');
      assert.match(
        outcome.reason.message,
        /^reference update: reference (already exists|is already locked)$/,
      );
    }
  }
  assert.equal(await runGit(['-C', path, 'rev-parse', 'new']), oid);
});

test('references are deleted on every node or on none', async () => {
  await using gitaly = await startGitaly();
  const { path, oid } = createSmallRepository(gitaly);
  await runGit(['-C', path, 'tag', 'a']);
  await using cluster = await startVotingServer(gitaly.address);
  const request = {
    repository: REPOSITORY,
    refs: [Buffer.from('refs/tags/a'), Buffer.from('refs/heads/main')],
  };
  const votesOn = (votes: readonly CastVote[]) => votes.map(({ phase, hash }) => [phase, hash]);

  cluster.decide = ({ phase }) => (phase === 'PREPARED_PHASE' ? 'ABORT' : 'COMMIT');
  const lost = cluster.connection.ref.deleteRefs(request, { metadata: cluster.metadata() });
  await assert.rejects(lost, { code: 'INTERNAL', message: 'prepared vote: transaction was aborted' });
  assert.equal(await runGit(['-C', path, 'rev-parse', 'main', 'a']), `${oid}\n${oid}`);

  cluster.decide = () => 'COMMIT';
  await cluster.connection.ref.deleteRefs(request, { metadata: cluster.metadata() });
  const hash = sha1('refs/tags/a\nrefs/heads/main\n');
  assert.deepEqual(votesOn(cluster.votes.slice(-3)), [
    ['PREPARING_PHASE', hash],
    ['PREPARED_PHASE', hash],
    ['COMMITTED_PHASE', hash],
  ]);
  assert.equal(await runGit(['-C', path, 'for-each-ref']), '');
});
