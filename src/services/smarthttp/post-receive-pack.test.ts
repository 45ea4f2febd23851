import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Connection } from '#client/index';
import { createSmallRepository, REPOSITORY, writeScript } from '#testkit/clients/operation-fixture';
import { pushBody, readReport, ZERO_OID } from '#testkit/repositories/push';
import { runGit } from '#testkit/repositories/run-git';
import { startInternalApi } from '#testkit/servers/internal-api';
import { startVotingServer } from '#testkit/servers/voting-server';
import { startGitaly } from '#testkit/start-gitaly';
import { until } from '#testkit/until';

const FIRST = { repository: REPOSITORY, glId: 'user-1', glUsername: 'jane' };
const sha1 = (text: string): string => createHash('sha1').update(text).digest('hex');

async function push(connection: Connection, body: Uint8Array, metadata: Record<string, string> = {}) {
  const answer: Uint8Array[] = [];
  const call = connection.smartHttp.postReceivePack(
    [FIRST, { data: body.subarray(0, 10) }, { data: body.subarray(10) }],
    {
      metadata,
    },
  );
  for await (const { data } of call) answer.push(data);
  return readReport(Buffer.concat(answer));
}

for (const isOn of [true, false]) {
  const what = isOn ? 'the' : 'no';
  test(`with receive_pack_trace2_hook ${isOn} the log has ${what} processes of a push`, async () => {
    await using gitaly = await startGitaly();
    const { path, oid } = createSmallRepository(gitaly);
    writeScript(join(path, 'custom_hooks/pre-receive'), 'exit 0');
    const metadata = { 'gitaly-feature-receive-pack-trace2-hook': String(isOn) };

    const body = pushBody([`${ZERO_OID} ${oid} refs/heads/new`]);
    const { report } = await push(gitaly.connection, body, metadata);

    assert.deepEqual(report, ['unpack ok', 'ok refs/heads/new']);
    const line = gitaly.log.find((each) => each['grpc.method'] === 'PostReceivePack') ?? {};
    const fields = Object.keys(line).filter((field) => /^(trace2|receive-pack)\./.test(field));
    assert.equal(line['trace2.hooks'], isOn ? 'receive-pack' : undefined);
    if (!isOn) assert.deepEqual(fields, []);
    else {
      // git unpacks what it got, and then checks whether all objects are there.
      const commands = fields
        .filter((field) => field.endsWith('.command'))
        .map((field) => String(line[field]));
      assert.ok(
        commands.some((command) => /^git (unpack-objects|index-pack) /.test(command)),
        String(commands),
      );
      assert.ok(
        commands.some((command) => command.startsWith('git rev-list ')),
        String(commands),
      );
      // Gitaly logs the name of a hook without its directory.
      assert.ok(commands.includes('pre-receive'), String(commands));
      for (const index of commands.keys()) {
        const time = Number(line[`receive-pack.child-process.${index}.time-us`]);
        assert.ok(Number.isInteger(time) && time > 0);
      }
      const connectivity = Number(line['receive-pack.connectivity-check-us']);
      assert.ok(Number.isInteger(connectivity) && connectivity > 0);
    }
    assert.equal(await runGit(['-C', path, 'rev-parse', 'new']), oid);
    assert.deepEqual(
      readdirSync(join(gitaly.directory), { recursive: true }).filter((file) => /trace2-/.test(String(file))),
      [],
    );
  });
}

test('without GitLab and without scripts a push runs no hook at all', async () => {
  await using gitaly = await startGitaly({ logLevel: 'debug' });
  const { path, oid } = createSmallRepository(gitaly);
  // A hook in the repository itself must not run either.
  writeScript(join(path, 'hooks/pre-receive'), 'exit 1');

  const { report, messages } = await push(gitaly.connection, pushBody([`${ZERO_OID} ${oid} refs/heads/new`]));

  assert.deepEqual([report, messages], [['unpack ok', 'ok refs/heads/new'], '']);
  assert.equal(await runGit(['-C', path, 'rev-parse', 'new']), oid);
});

test('GitLab is called before and after a push, with the quarantine as a relative path', async () => {
  await using api = await startInternalApi();
  await using gitaly = await startGitaly({ internalApi: api });
  const { path, oid } = createSmallRepository(gitaly);
  const messages = [{ type: 'basic', message: 'To create a merge request, visit:' }];
  api.reset({ '/post_receive': [200, { reference_counter_decreased: true, messages }] });

  const body = pushBody([`${ZERO_OID} ${oid} refs/heads/new`], { pushOptions: ['ci.skip'] });
  const answer = await push(gitaly.connection, body, {
    remote_ip: '10.0.0.1',
    'x-gitlab-correlation-id': 'cid-7',
  });

  assert.deepEqual(answer, {
    report: ['unpack ok', 'ok refs/heads/new'],
    messages: '\nTo create a merge request, visit:\n\n',
  });
  assert.deepEqual(
    api.calls.map((call) => call.path),
    ['/allowed', '/pre_receive', '/post_receive'],
  );
  const [allowed] = api.calls;
  const asked = JSON.parse(allowed?.body ?? '');
  assert.equal(asked.changes, `${ZERO_OID} ${oid} refs/heads/new\n`);
  assert.equal(asked.project, path);
  assert.deepEqual(asked.push_options, ['ci.skip']);
  assert.match(JSON.parse(asked.env).GIT_OBJECT_DIRECTORY_RELATIVE, /^objects\/(tmp_objdir-)?incoming-/);
  assert.deepEqual(JSON.parse(asked.env).GIT_ALTERNATE_OBJECT_DIRECTORIES_RELATIVE, ['objects']);
  assert.equal(allowed?.headers['x-forwarded-for'], '10.0.0.1');
  assert.equal(allowed?.headers['x-request-id'], 'cid-7');
});

test('a push that GitLab refuses, or cannot be asked about, changes nothing and says why', async () => {
  await using api = await startInternalApi();
  await using gitaly = await startGitaly({ internalApi: api });
  const { path, oid } = createSmallRepository(gitaly);
  const body = pushBody([`${ZERO_OID} ${oid} refs/heads/new`]);
  const answers: readonly [answer: unknown, message: string][] = [
    [[200, { status: false, message: 'You shall not push' }], 'GitLab: You shall not push'],
    [[500, 'oops'], 'GitLab: Internal API error (500)'],
    [[429, {}], 'error executing git hook\n'],
  ];

  for (const [answer, message] of answers) {
    api.reset({ '/allowed': answer });
    assert.deepEqual(await push(gitaly.connection, body), {
      report: ['unpack ok', 'ng refs/heads/new pre-receive hook declined'],
      messages: message,
    });
  }
  await api[Symbol.asyncDispose]();
  assert.equal((await push(gitaly.connection, body)).messages, 'GitLab: Internal API unreachable');
  // Texts and fields of Gitaly 19.0.
  const calls = gitaly.log.filter(({ url }) => String(url).endsWith('/api/v4/internal/allowed'));
  assert.deepEqual(
    calls.map(({ level, msg, method, status }) => [level, msg, method, status]),
    [
      ['info', 'Finished HTTP request', 'POST', 200],
      ['error', 'Internal API error', 'POST', 500],
      ['error', 'Internal API error', 'POST', 429],
      ['error', 'Internal API unreachable', 'POST', undefined],
    ],
  );
  assert.equal(calls[1]?.error, 'Internal API error (500)');
  assert.match(String(calls[3]?.error), /connection refused|ECONNREFUSED/);
  assert.equal(await runGit(['-C', path, 'for-each-ref', '--format=%(refname)']), 'refs/heads/main');
});

test('a push that GitLab does not count is refused', async () => {
  await using api = await startInternalApi();
  await using gitaly = await startGitaly({ internalApi: api });
  const { path, oid } = createSmallRepository(gitaly);
  const failed =
    'calling pre_receive endpoint: http post to gitlab api /pre_receive endpoint: Internal API error (500)';
  const answers: readonly [answer: unknown, message: string][] = [
    [[200, { reference_counter_increased: false }], ''],
    [[500, 'oops'], failed],
  ];

  for (const [answer, message] of answers) {
    api.reset({ '/pre_receive': answer });
    const { report, messages } = await push(
      gitaly.connection,
      pushBody([`${ZERO_OID} ${oid} refs/heads/new`]),
    );
    assert.deepEqual(report, ['unpack ok', 'ng refs/heads/new pre-receive hook declined']);
    assert.equal(messages, message);
  }
  assert.equal(await runGit(['-C', path, 'for-each-ref', '--format=%(refname)']), 'refs/heads/main');
});

test('scripts see the objects of the push, and what they print reaches the pusher in order', async () => {
  await using gitaly = await startGitaly({ customHooks: true });
  const { path, oid } = createSmallRepository(gitaly);
  const source = join(gitaly.directory, 'source');
  await runGit(['clone', '--quiet', path, source]);
  await runGit(['-C', source, 'commit', '--quiet', '--allow-empty', '-m', 'two']);
  const newOid = await runGit(['-C', source, 'rev-parse', 'HEAD']);
  const packFile = join(gitaly.directory, 'pack');
  await runGit(['-C', source, 'pack-objects', '--revs', '--quiet', packFile], {
    input: `${newOid}\n^${oid}\n`,
  });
  const name =
    readdirSync(gitaly.directory).find((file) => file.startsWith('pack-') && file.endsWith('.pack')) ?? '';
  writeScript(
    join(gitaly.directory, 'custom_hooks/pre-receive.d/1'),
    'while read old new ref; do git cat-file -t $new; done; echo $GL_ID $GL_PROTOCOL',
  );
  writeScript(
    join(gitaly.directory, 'custom_hooks/update.d/1'),
    'echo update "$@" >&2; test "$1" != refs/heads/bad',
  );
  writeScript(
    join(gitaly.directory, 'custom_hooks/post-receive.d/1'),
    'git rev-parse refs/heads/good; env | grep GITALY_',
  );

  const commands = [`${ZERO_OID} ${newOid} refs/heads/good`, `${ZERO_OID} ${newOid} refs/heads/bad`];
  const answer = await push(
    gitaly.connection,
    pushBody(commands, { pack: readFileSync(join(gitaly.directory, name)) }),
  );

  assert.deepEqual(answer.report, ['unpack ok', 'ok refs/heads/good', 'ng refs/heads/bad hook declined']);
  assert.equal(
    answer.messages,
    `commit\ncommit\nuser-1 http\nupdate refs/heads/good ${ZERO_OID} ${newOid}\n` +
      `update refs/heads/bad ${ZERO_OID} ${newOid}\n` +
      `error: hook declined to update refs/heads/bad\n${newOid}\n`,
  );
});

test('a push in a transaction casts the votes that other nodes cast too', async () => {
  await using api = await startInternalApi();
  await using gitaly = await startGitaly({ internalApi: api });
  const { oid } = createSmallRepository(gitaly);
  await using voting = await startVotingServer(gitaly.address);
  const update = `${ZERO_OID} ${oid} refs/heads/new`;
  const expected = [
    ['SYNCHRONIZED_PHASE', sha1('synchronize pre-receive hook')],
    ['SYNCHRONIZED_PHASE', sha1('synchronize update hook')],
    ['PREPARED_PHASE', sha1(`${update}\n`)],
    ['COMMITTED_PHASE', sha1(`${update}\n`)],
    ['SYNCHRONIZED_PHASE', sha1('synchronize post-receive hook')],
    ['COMMITTED_PHASE', '0'.repeat(40)],
  ];

  const { report } = await push(voting.connection, pushBody([update]), voting.metadata({ id: 5, node: 'n' }));

  assert.deepEqual(report, ['unpack ok', 'ok refs/heads/new']);
  assert.deepEqual(
    voting.votes.map((vote) => [vote.phase, vote.hash]),
    expected,
  );
  assert.ok(voting.votes.every((vote) => vote.transactionId === 5n && vote.node === 'n'));
  assert.equal(api.calls.length, 3);
});

test('a secondary votes the same and asks nobody', async () => {
  await using api = await startInternalApi();
  await using gitaly = await startGitaly({ internalApi: api, customHooks: true });
  const { oid } = createSmallRepository(gitaly);
  writeScript(join(gitaly.directory, 'custom_hooks/pre-receive.d/1'), 'exit 1');
  await using voting = await startVotingServer(gitaly.address);

  const body = pushBody([`${ZERO_OID} ${oid} refs/heads/new`]);
  const { report } = await push(voting.connection, body, voting.metadata({ primary: false }));

  assert.deepEqual(report, ['unpack ok', 'ok refs/heads/new']);
  assert.equal(voting.votes.length, 6);
  assert.equal(api.calls.length, 0);
});

test('a refusal stops the transaction, and the call is OK', async () => {
  await using gitaly = await startGitaly({ customHooks: true });
  const { oid } = createSmallRepository(gitaly);
  writeScript(join(gitaly.directory, 'custom_hooks/pre-receive.d/1'), 'echo no; exit 1');
  await using voting = await startVotingServer(gitaly.address);
  voting.decide = () => 'STOP';

  const answer = await push(
    voting.connection,
    pushBody([`${ZERO_OID} ${oid} refs/heads/new`]),
    voting.metadata({ id: 9 }),
  );

  assert.deepEqual(answer, {
    report: ['unpack ok', 'ng refs/heads/new pre-receive hook declined'],
    messages: 'no\n',
  });
  assert.deepEqual(voting.stopped, [9n]);
  assert.deepEqual(
    voting.votes.map((vote) => vote.phase),
    ['COMMITTED_PHASE'],
  ); // the last vote, of the call itself
});

test('a lost vote keeps the references as they were, and a lost last vote fails the call', async () => {
  await using gitaly = await startGitaly();
  const { path, oid } = createSmallRepository(gitaly);
  await using voting = await startVotingServer(gitaly.address);
  const body = pushBody([`${ZERO_OID} ${oid} refs/heads/new`]);

  voting.decide = ({ phase }) => (phase === 'PREPARED_PHASE' ? 'ABORT' : 'COMMIT');
  // git stops when its reference-transaction hook fails.
  await assert.rejects(push(voting.connection, body, voting.metadata()), {
    code: 'FAILED_PRECONDITION',
    message: 'waiting for receive-pack: exit status 128',
  });
  assert.equal(await runGit(['-C', path, 'for-each-ref', '--format=%(refname)']), 'refs/heads/main');

  voting.decide = ({ hash }) => (/^0+$/.test(hash) ? 'ABORT' : 'COMMIT');
  await assert.rejects(push(voting.connection, body, voting.metadata()), { code: 'ABORTED' });
});

test('a transaction without a way back is refused before anything changes', async () => {
  await using gitaly = await startGitaly();
  const { path, oid } = createSmallRepository(gitaly);
  const metadata = {
    'gitaly-reference-transaction': Buffer.from('{"id":1,"node":"n","primary":true}').toString('base64'),
  };

  await assert.rejects(push(gitaly.connection, pushBody([`${ZERO_OID} ${oid} refs/heads/new`]), metadata), {
    code: 'ABORTED',
  });

  assert.equal(existsSync(join(path, 'refs/heads/new')), false);
});

test('a client that leaves in the middle ends git and its hooks', async () => {
  await using gitaly = await startGitaly({ customHooks: true });
  const { path, oid } = createSmallRepository(gitaly);
  const started = join(gitaly.directory, 'started');
  const finished = join(gitaly.directory, 'finished');
  writeScript(
    join(gitaly.directory, 'custom_hooks/pre-receive.d/1'),
    `touch ${started}; sleep 20; touch ${finished}`,
  );
  const abort = new AbortController();
  const call = gitaly.connection.smartHttp.postReceivePack(
    [FIRST, { data: pushBody([`${ZERO_OID} ${oid} refs/heads/new`]) }],
    {
      signal: abort.signal,
    },
  );
  const ended = (async () => {
    for await (const _ of call);
  })();
  await until(() => existsSync(started));

  abort.abort();

  await assert.rejects(ended, { code: 'CANCELLED' });
  assert.equal(existsSync(join(path, 'refs/heads/new')), false);
  assert.equal(existsSync(finished), false);
  // The end of the fixture checks that no process and no file of the server is left.
});

test('git is ended by a client that never finishes its request', async () => {
  await using gitaly = await startGitaly();
  createSmallRepository(gitaly);
  async function* halfOpen() {
    yield FIRST;
    yield { data: Buffer.from('zzzz') }; // git stops at once
    await new Promise(() => {});
  }

  const call = gitaly.connection.smartHttp.postReceivePack(halfOpen());

  await assert.rejects(
    (async () => {
      for await (const _ of call);
    })(),
    { code: 'FAILED_PRECONDITION', message: 'waiting for receive-pack: exit status 128' },
  );
});
