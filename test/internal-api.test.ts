import assert from 'node:assert/strict';
import { copyFileSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { CallError } from '#client/index';
import { TEST_CERTIFICATE } from '#testkit/fixtures/test-certificate';
import { gitOutput, initRepository } from '#testkit/repositories/init-repository';
import { pushBody, readReport, ZERO_OID } from '#testkit/repositories/push';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { HANG_UP, type InternalApi, startInternalApi } from '#testkit/servers/internal-api';
import { startGitaly, type TestGitaly } from '#testkit/start-gitaly';
import { USER } from '#testkit/user';

const repository = { storageName: 'default', relativePath: 'r.git', glRepository: 'project-1' };
/** `read_timeout` of these servers is one second. */
const TOO_SLOW_MS = 1500;

/** Makes the same push to a separate branch. */
async function push(gitaly: TestGitaly, branch: string, oid: string, storageName = 'default') {
  const answer: Uint8Array[] = [];
  const request = { repository: { ...repository, storageName }, glId: 'user-1', glUsername: 'jane' };
  const body = pushBody([`${ZERO_OID} ${oid} refs/heads/${branch}`]);
  for await (const { data } of gitaly.connection.smartHttp.postReceivePack([request, { data: body }]))
    answer.push(data);
  const { report, messages } = readReport(Buffer.concat(answer));
  return { status: report[1], messages };
}

/** Creates a tag for a user. Returns `undefined`, or code and text of the failure. */
async function tag(gitaly: TestGitaly, name: string): Promise<string | undefined> {
  const request = { repository, user: USER, tagName: Buffer.from(name), targetRevision: Buffer.from('main') };
  return await gitaly.connection.operation.userCreateTag(request).then(
    () => undefined,
    (error: unknown) => (error instanceof CallError ? `${error.code} ${error.message}` : String(error)),
  );
}

function makeRepository(gitaly: TestGitaly, storage = 'default'): { path: string; oid: string } {
  const path = join(gitaly.storagePath(storage), 'r.git');
  initRepository(path, { commits: 1 });
  return { path, oid: gitOutput(path, ['rev-parse', 'main']) };
}

const ALLOWED_FAILED =
  'PERMISSION_DENIED reference update denied by access checks: running pre-receive hooks: GitLab: ';
const PRE_RECEIVE_FAILED = 'INTERNAL updating reference: running pre-receive hooks: ';
const POST_RECEIVE_FAILED = 'INTERNAL updating reference: running post-receive hooks: ';
const NO_JSON =
  "decoding response from /allowed endpoint: invalid character '<' looking for beginning of value";
const WEB_PAGE = '/allowed endpoint respond with unsupported content type: text/html';
const slowly = async (): Promise<undefined> => {
  await sleep(TOO_SLOW_MS);
  return undefined;
};

interface Answer {
  readonly what: string;
  readonly path: '/allowed' | '/pre_receive' | '/post_receive';
  readonly answer: unknown;
  /** Messages for the user who pushes. */
  readonly messages: string;
  /** Error for the caller of an operation. */
  readonly failure: string;
}

const refusal = (what: string, answer: unknown, reason: string): Answer => ({
  what,
  path: '/allowed',
  answer,
  messages: `GitLab: ${reason}`,
  failure: ALLOWED_FAILED + reason,
});
const unannounced = (what: string, answer: unknown, reason: string): Answer => {
  const text = reason === '' ? '' : `calling pre_receive endpoint: ${reason}`;
  return { what, path: '/pre_receive', answer, messages: text, failure: PRE_RECEIVE_FAILED + text };
};
const unreported = (what: string, answer: unknown, reason: string): Answer => {
  const text = reason === '' ? '' : `GitLab: ${reason}`;
  return { what, path: '/post_receive', answer, messages: text, failure: POST_RECEIVE_FAILED + text };
};
const BEFORE = 'http post to gitlab api /pre_receive endpoint: ';
const AFTER = 'http post to gitlab api /post_receive endpoint: ';

const ANSWERS: readonly Answer[] = [
  refusal('a refusal', [200, { status: false, message: 'You shall not push' }], 'You shall not push'),
  refusal('a refusal with another choice', [300, { status: false, message: 'Elsewhere' }], 'Elsewhere'),
  refusal('401', [401, { message: '401 Unauthorized' }], '401 Unauthorized'),
  refusal('404', [404, { message: 'no such project' }], 'no such project'),
  refusal('500', [500, 'oops'], 'Internal API error (500)'),
  refusal('201', [201, { status: true }], 'gitlab api is not accessible: 201'),
  refusal('garbage', [200, '<!'], NO_JSON),
  refusal('a web page', [200, '<html>', 'text/html'], WEB_PAGE),
  refusal('a closed connection', HANG_UP, 'Internal API unreachable'),
  refusal('silence', slowly, 'Internal API unreachable'),
  { ...refusal('429', [429, {}], 'rate limited'), messages: 'error executing git hook\n' },
  unannounced('no', [200, { reference_counter_increased: false }], ''),
  unannounced('401', [401, { message: '401 Unauthorized' }], `${BEFORE}401 Unauthorized`),
  unannounced('500', [500, 'oops'], `${BEFORE}Internal API error (500)`),
  unannounced('201', [201, {}], 'pre-receive call failed with status: 201'),
  unannounced('a closed connection', HANG_UP, `${BEFORE}Internal API unreachable`),
  unannounced('silence', slowly, `${BEFORE}Internal API unreachable`),
  unreported('no', [200, { reference_counter_decreased: false, messages: [] }], ''),
  unreported('500', [500, { message: 'broken' }], `${AFTER}broken`),
  unreported('201', [201, {}], 'post-receive call failed with status: 201'),
  unreported('a closed connection', HANG_UP, `${AFTER}Internal API unreachable`),
  unreported('silence', slowly, `${AFTER}Internal API unreachable`),
];

suite('what GitLab answers decides', () => {
  let api: InternalApi;
  let gitaly: TestGitaly;
  let path: string;
  let oid: string;
  before(async () => {
    api = await startInternalApi();
    const gitlab = { url: api.url, secret: api.secret, 'http-settings': { read_timeout: 1 } };
    gitaly = await startGitaly({ config: { gitlab } });
    ({ path, oid } = makeRepository(gitaly));
  });
  after(async () => {
    await gitaly[Symbol.asyncDispose]();
    await api[Symbol.asyncDispose]();
  });

  for (const { what, path: endpoint, answer, messages, failure } of ANSWERS) {
    const isDone = endpoint === '/post_receive';
    test(`${what} to ${endpoint} ${isDone ? 'is too late for' : 'refuses'} push and operation`, async () => {
      const name = `${endpoint.slice(1)}-${what.replaceAll(' ', '-')}`;
      api.reset({ [endpoint]: answer });

      const pushed = await push(gitaly, name, oid);
      const failed = await tag(gitaly, name);

      const status = isDone ? `ok refs/heads/${name}` : `ng refs/heads/${name} pre-receive hook declined`;
      assert.deepEqual(pushed, { status, messages });
      assert.equal(failed, failure);
      const made = gitOutput(path, [
        'for-each-ref',
        '--format=%(refname)',
        `refs/heads/${name}`,
        `refs/tags/${name}`,
      ]);
      assert.equal(made, isDone ? `refs/heads/${name}\nrefs/tags/${name}` : '');
      const asked = ['/allowed', '/pre_receive', '/post_receive'];
      const once = asked.slice(0, asked.indexOf(endpoint) + 1);
      const paths = api.calls.map((call) => call.path);
      // It is sent again if the connection was that of an earlier test.
      const mayRepeat = answer === HANG_UP && endpoint === '/allowed';
      assert.deepEqual(mayRepeat ? [...new Set(paths)] : paths, mayRepeat ? once : [...once, ...once]);
    });
  }

  test('messages of GitLab reach the user: USER, and an unknown kind of message is reported', async () => {
    const messages = [
      { type: 'basic', message: 'To create a merge request, visit:' },
      { type: 'shout', message: 'no' },
    ];
    api.reset({ '/post_receive': [200, { reference_counter_decreased: true, messages }] });

    const pushed = await push(gitaly, 'with-messages', oid);

    assert.equal(pushed.status, 'ok refs/heads/with-messages');
    const failure = 'error writing messages to stream: invalid message type: shout';
    assert.equal(pushed.messages, `\nTo create a merge request, visit:\n\n\n${failure}`);
  });
});

suite('GitLab is reached', () => {
  let directory: string;
  before(() => {
    directory = makeScratchDirectory('internal-api');
    mkdirSync(join(directory, 'authorities'));
    copyFileSync(TEST_CERTIFICATE, join(directory, 'authorities/gitlab.pem'));
  });
  after(() => rmSync(directory, { recursive: true }));

  for (const [where, options, settings] of [
    ['on loopback', () => ({}), () => ({})],
    ['below a path', () => ({ root: '/gitlab' }), () => ({})],
    [
      'on a unix socket below a path',
      () => ({ root: '/gitlab', socketPath: join(directory, 'gitlab.socket') }),
      () => ({ relative_url_root: '/gitlab' }),
    ],
    [
      'by TLS with an authority of its own',
      () => ({ tls: true }),
      () => ({ 'http-settings': { ca_file: TEST_CERTIFICATE } }),
    ],
    [
      'by TLS with a directory of authorities',
      () => ({ tls: true, root: '/gitlab' }),
      () => ({ 'http-settings': { ca_path: join(directory, 'authorities') } }),
    ],
  ] as const) {
    test(`${where}, by a push and by an operation`, async () => {
      await using api = await startInternalApi(options());
      await using gitaly = await startGitaly({
        config: { gitlab: { url: api.url, secret: api.secret, ...settings() } },
      });
      const { oid } = makeRepository(gitaly);

      assert.deepEqual(await push(gitaly, 'pushed', oid), { status: 'ok refs/heads/pushed', messages: '' });
      assert.equal(await tag(gitaly, 'made'), undefined);

      const once = ['/allowed', '/pre_receive', '/post_receive'];
      assert.deepEqual(
        api.calls.map((call) => call.path),
        [...once, ...once],
      );
    });
  }

  test('over TLS only if its certificate is trusted', async () => {
    await using api = await startInternalApi({ tls: true });
    await using gitaly = await startGitaly({ internalApi: api });
    const { oid } = makeRepository(gitaly);

    const { status, messages } = await push(gitaly, 'pushed', oid);

    assert.equal(status, 'ng refs/heads/pushed pre-receive hook declined');
    assert.equal(messages, 'GitLab: Internal API unreachable');
    assert.deepEqual(api.calls, []);
  });
});

// GitLab was not asked: `Rel: can't make … relative to …`.
for (const inProcess of [true, false])
  test(`GitLab gets the quarantine of a storage with a colon, in_process = ${inProcess}`, async () => {
    await using api = await startInternalApi();
    const config = { git: { in_process: inProcess } };
    await using gitaly = await startGitaly({ internalApi: api, storages: ['a:b'], config });
    const { oid } = makeRepository(gitaly, 'a:b');

    assert.equal((await push(gitaly, 'new', oid, 'a:b')).status, 'ok refs/heads/new');

    const { env } = JSON.parse(api.calls.find(({ path }) => path.endsWith('/allowed'))?.body ?? '{}');
    assert.deepEqual(JSON.parse(env).GIT_ALTERNATE_OBJECT_DIRECTORIES_RELATIVE, ['objects']);
  });
