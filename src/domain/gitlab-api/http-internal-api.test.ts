import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { jwtVerify } from 'jose';
import { createServer } from '#base/network/node-http';
import { startInternalApi } from '#testkit/servers/internal-api';
import { createInternalApi, type GitlabSettings } from './create-internal-api.ts';
import type { FinishedApiCall } from './http-internal-api.ts';
import { type AccessCheck, isRateLimited } from './internal-api.ts';

const CHECK: AccessCheck = {
  glRepository: 'project-1',
  repositoryPath: "/storage/it's.git",
  relativePath: "it's.git",
  objectDirectory: '',
  alternateObjectDirectories: undefined,
  glId: 'user-1',
  protocol: 'http',
  changes: '00 11 refs/heads/<main>\n',
  pushOptions: [],
  clientContext: undefined,
};
const CALL = { signal: new AbortController().signal, correlationId: 'cid-1' };

function client(api: { url: string }, settings: Partial<GitlabSettings> = {}) {
  return createInternalApi(
    { url: api.url, secret: ' topsecret\n', ...settings },
    { userAgent: 'gitaly/19.0' },
  );
}

test('allowed sends what Gitaly sends, byte for byte', async () => {
  await using api = await startInternalApi();

  const decision = await client(api).allowed(CHECK, { ...CALL, remoteIp: '10.0.0.1' });

  assert.deepEqual(decision, { allowed: true, message: '' });
  const [request] = api.calls;
  assert.equal(
    request?.body,
    '{"action":"git-receive-pack","gl_repository":"project-1","project":"/storage/its.git",' +
      '"changes":"00 11 refs/heads/\\u003cmain\\u003e\\n",' +
      '"protocol":"http","relative_path":"it\'s.git",' +
      '"env":"{\\"GIT_ALTERNATE_OBJECT_DIRECTORIES_RELATIVE\\":null,' +
      '\\"GIT_OBJECT_DIRECTORY_RELATIVE\\":\\"\\"}","user_id":"1"}',
  );
  assert.equal(request?.headers['x-request-id'], 'cid-1');
  assert.equal(request?.headers['x-forwarded-for'], '10.0.0.1');
  assert.equal(request?.headers['user-agent'], 'gitaly/19.0');
  assert.equal(request?.headers.authorization, undefined);
  const token = await jwtVerify(
    String(request?.headers['gitlab-shell-api-request']),
    Buffer.from('topsecret'),
  );
  assert.equal(token.payload.iss, 'gitlab-shell');
  assert.equal((token.payload.exp ?? 0) - (token.payload.iat ?? 0), 60);
});

test('allowed sends quarantine, push options and client context when there are any', async () => {
  await using api = await startInternalApi();

  await client(api).allowed(
    {
      ...CHECK,
      glId: 'key-3',
      objectDirectory: 'objects/incoming-x',
      alternateObjectDirectories: ['objects'],
      pushOptions: ['a=b', ''],
      clientContext: Buffer.from([0x63, 0xff]),
    },
    CALL,
  );

  const body = JSON.parse(api.calls[0]?.body ?? '');
  assert.equal(
    body.env,
    '{"GIT_ALTERNATE_OBJECT_DIRECTORIES_RELATIVE":["objects"],' +
      '"GIT_OBJECT_DIRECTORY_RELATIVE":"objects/incoming-x"}',
  );
  assert.deepEqual(
    [body.key_id, body.user_id, body.push_options, body.gitaly_client_context_bin],
    ['3', undefined, ['a=b', ''], 'Y/8='],
  );
});

test('allowed refuses an id that names nobody without asking', async () => {
  await using api = await startInternalApi();

  for (const glId of ['user-', 'user-x', 'key-1x', 'deploy-1', '']) {
    await assert.rejects(client(api).allowed({ ...CHECK, glId }, CALL), {
      message: `setting gl_id: gl_id="${glId}" is invalid`,
    });
  }
  await client(api).allowed({ ...CHECK, glId: 'username-jane' }, CALL);

  assert.deepEqual(
    api.calls.map((request) => JSON.parse(request.body).username),
    ['jane'],
  );
});

const REFUSALS: readonly [
  name: string,
  answer: readonly [status: number, body: unknown, contentType?: string],
  text: string,
][] = [
  ['401 with a message', [401, { message: '401 Unauthorized' }], '401 Unauthorized'],
  ['500 without JSON', [500, 'oops'], 'Internal API error (500)'],
  ['429', [429, { message: 'slow down' }], 'rate limited'],
  ['201', [201, { status: true }], 'gitlab api is not accessible: 201'],
  [
    'a web page',
    [200, '<html>', 'text/html; charset=utf-8'],
    '/allowed endpoint respond with unsupported content type: text/html',
  ],
  [
    'no content type',
    [200, '{}', ''],
    '/allowed endpoint respond with unsupported content type: mime: no media type',
  ],
  [
    'broken JSON',
    [200, '{not json'],
    "decoding response from /allowed endpoint: invalid character 'n' looking for beginning of " +
      'object key string',
  ],
];

for (const [name, answer, text] of REFUSALS) {
  test(`allowed fails with Gitaly's words for ${name}`, async () => {
    await using api = await startInternalApi();
    api.reset({ '/allowed': answer });

    const failure = client(api).allowed(CHECK, CALL);

    await assert.rejects(
      failure,
      (error) =>
        error instanceof Error && error.message === text && isRateLimited(error) === (answer[0] === 429),
    );
  });
}

test('allowed takes 300 for an answer and a refusal for what it says', async () => {
  await using api = await startInternalApi();
  api.reset({ '/allowed': [300, { status: false, message: 'go away' }] });

  assert.deepEqual(await client(api).allowed(CHECK, CALL), { allowed: false, message: 'go away' });
});

test('preReceive and postReceive put the endpoint before a failure', async () => {
  await using api = await startInternalApi();
  api.reset({ '/pre_receive': [500, { message: 'broken' }], '/post_receive': [429, {}] });
  const push = {
    glRepository: 'project-1',
    glId: 'user-1',
    changes: 'x',
    pushOptions: [],
    clientContext: undefined,
  };

  await assert.rejects(client(api).preReceive('project-1', CALL), {
    message: 'http post to gitlab api /pre_receive endpoint: broken',
  });
  await assert.rejects(client(api).postReceive(push, CALL), (error) => {
    return (
      error instanceof Error &&
      error.message === 'http post to gitlab api /post_receive endpoint: rate limited' &&
      isRateLimited(error)
    );
  });
  api.reset({ '/pre_receive': [201, {}], '/post_receive': [201, {}] });
  await assert.rejects(client(api).preReceive('project-1', CALL), {
    message: 'pre-receive call failed with status: 201',
  });
  await assert.rejects(client(api).postReceive(push, CALL), {
    message: 'post-receive call failed with status: 201',
  });
  assert.equal(
    api.calls[1]?.body,
    '{"changes":"x","gitaly_client_context_bin":null,"gl_repository":"project-1",' +
      '"identifier":"user-1","push_options":null}',
  );
});

test('postReceive reads messages, and null as none', async () => {
  await using api = await startInternalApi();
  const push = {
    glRepository: 'project-1',
    glId: 'user-1',
    changes: 'x',
    pushOptions: ['o'],
    clientContext: Buffer.from('c'),
  };
  const messages = [{ message: 'hello', type: 'basic' }];

  api.reset({ '/post_receive': [200, { reference_counter_decreased: true, messages }] });
  assert.deepEqual(await client(api).postReceive(push, CALL), { referenceCounterDecreased: true, messages });
  api.reset({ '/post_receive': [200, { reference_counter_decreased: false, messages: null }] });
  assert.deepEqual(await client(api).postReceive(push, CALL), {
    referenceCounterDecreased: false,
    messages: [],
  });
});

test('check answers with versions, over a unix socket with a relative root and basic auth', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'internal-api-'));
  try {
    await using api = await startInternalApi({
      socketPath: join(directory, 'gitlab.socket'),
      root: '/gitlab',
    });
    const calls: FinishedApiCall[] = [];
    const settings = { url: api.url, secret: 's', relativeUrlRoot: '/gitlab/', user: 'u', password: 'p' };
    const sut = createInternalApi(settings, {
      userAgent: 'gitaly/x',
      observer: (call) => calls.push(call),
    });

    const { date, ...answer } = await sut.check(CALL);

    assert.deepEqual(answer, {
      gitlabVersion: '19.0.0',
      gitlabRevision: 'abc',
      apiVersion: 'v4',
      redis: true,
    });
    assert.ok(Math.abs((date?.getTime() ?? 0) - Date.now()) < 60_000);
    assert.equal(api.calls[0]?.headers.authorization, `Basic ${Buffer.from('u:p').toString('base64')}`);
    const [{ endpoint, url, correlationId } = {}] = calls;
    assert.deepEqual(
      [endpoint, url, correlationId, calls.length],
      ['check', 'http://unix/gitlab/api/v4/internal/check', 'cid-1', 1],
    );
  } finally {
    await rm(directory, { recursive: true });
  }
});

test('a server that is not there, or too slow, is unreachable', async () => {
  await assert.rejects(client({ url: 'http+unix://%2Fnowhere%2Fsocket' }).allowed(CHECK, CALL), {
    message: 'Internal API unreachable',
  });
  await using api = await startInternalApi();
  await assert.rejects(client(api).allowed(CHECK, { ...CALL, signal: AbortSignal.abort() }), {
    message: 'Internal API unreachable',
  });
});

test('requests that follow each other share a connection', async () => {
  await using api = await startCountingApi();
  const sut = client(api);

  await sut.allowed(CHECK, CALL);
  await sut.preReceive('project-1', CALL);

  assert.deepEqual(api.requests(), [['/allowed', '/pre_receive']]);
});

test('allowed is sent again if the server has closed the connection, hooks of a push are not', async () => {
  await using api = await startCountingApi({ perConnection: 1 });
  const push = {
    glRepository: 'project-1',
    glId: 'user-1',
    changes: 'x',
    pushOptions: [],
    clientContext: undefined,
  };
  const sut = client(api);

  assert.equal((await sut.allowed(CHECK, CALL)).allowed, true);
  assert.equal((await sut.allowed(CHECK, CALL)).allowed, true);
  await assert.rejects(sut.preReceive('project-1', CALL), {
    message: 'http post to gitlab api /pre_receive endpoint: Internal API unreachable',
  });
  assert.equal((await sut.allowed(CHECK, CALL)).allowed, true);
  await assert.rejects(sut.postReceive(push, CALL), {
    message: 'http post to gitlab api /post_receive endpoint: Internal API unreachable',
  });

  assert.deepEqual(api.requests(), [
    ['/allowed', '/allowed'],
    ['/allowed', '/pre_receive'],
    ['/allowed', '/post_receive'],
  ]);
});

test('an answer that ends in the middle is an error', async () => {
  const server = createServer((_request, response) => {
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': 100 });
    response.write('{"status":true', () => response.socket?.end());
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  try {
    const address = server.address();
    assert.ok(address !== null && typeof address !== 'string');
    const url = `http://127.0.0.1:${address.port}`;

    await assert.rejects(client({ url }).allowed(CHECK, CALL), { message: 'Internal API unreachable' });
  } finally {
    server.close();
  }
});

test('settings that cannot work are refused at once', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'internal-api-'));
  try {
    const make = (settings: GitlabSettings) => () => createInternalApi(settings, { userAgent: 'x' });

    assert.throws(make({ url: 'ftp://x', secret: 's' }), {
      message: 'building new HTTP client for GitLab API: unknown GitLab URL prefix',
    });
    assert.throws(make({ url: 'https://x', secret: 's', caFile: '/no/ca' }), {
      message: 'building new HTTP client for GitLab API: cannot find cafile "/no/ca": cafile not found',
    });
    assert.throws(make({ url: 'http://x', secretFile: '/no/secret' }), {
      message: 'reading secret file: open /no/secret: no such file or directory',
    });
    await writeFile(join(directory, 'secret'), 'x');
    assert.equal(make({ url: 'http://x', secretFile: join(directory, 'secret') })().standAlone, false);
    assert.equal(make({ url: '' })().standAlone, true);
  } finally {
    await rm(directory, { recursive: true });
  }
});

/**
 * Starts a server that allows everything, and notes the requests of each connection. It closes a
 * connection at the request after `perConnection`.
 */
async function startCountingApi({ perConnection = Number.POSITIVE_INFINITY } = {}) {
  const connections = new Map<Socket, string[]>();
  const server = createServer((request, response) => {
    const paths = connections.get(request.socket) ?? [];
    connections.set(request.socket, paths);
    paths.push((request.url ?? '').slice('/api/v4/internal'.length));
    if (paths.length > perConnection) {
      request.socket.destroy();
      return;
    }
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end('{"status":true,"reference_counter_increased":true}');
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the server has no port');
  return {
    url: `http://127.0.0.1:${address.port}`,
    requests: () => [...connections.values()],
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
