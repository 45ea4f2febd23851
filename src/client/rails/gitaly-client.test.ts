import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { Metadata } from '#rpc/common/metadata';
import { slowly } from '#testkit/faults/slowly';
import { startGitaly } from '#testkit/start-gitaly';
import type { Interceptor, Invocation } from '../call/call-types.ts';
import { GitalyClient, type GitalyClientConfig, TooManyInvocationsError } from './index.ts';

const REPOSITORY = { storageName: 'default', relativePath: 'a.git' };

afterEach(() => {
  delete process.env.GITALY_DISABLE_REQUEST_LIMITS;
});

/** Returns a client of a real server, and a record of what it sends. */
async function start(config: Partial<GitalyClientConfig> = {}) {
  const server = await startGitaly();
  const sent: Invocation[] = [];
  const sentAtMs: number[] = [];
  const watching: Interceptor = (invocation, next) => {
    sent.push(invocation);
    sentAtMs.push(Date.now());
    return next(invocation);
  };
  const client = new GitalyClient({
    storages: { default: { gitaly_address: server.address } },
    dialOptions: { interceptors: [watching] },
    ...config,
  });
  return {
    client,
    sent,
    /** Returns the seconds that a call had left when it was sent. */
    secondsLeft: (index = 0) => {
      const deadlineMs = sent[index]?.options.deadline?.getTime() ?? Number.NaN;
      return Math.round((deadlineMs - (sentAtMs[index] ?? Number.NaN)) / 1000);
    },
    metadata: (index = 0) => Object.fromEntries(Metadata.from(sent[index]?.options.metadata).entries()),
    ping: () =>
      client.call('default', (gitaly) => gitaly.repository.repositoryExists({ repository: REPOSITORY }), {
        timeout: 'fast',
      }),
    async [Symbol.asyncDispose]() {
      await client[Symbol.asyncDispose]();
      await server[Symbol.asyncDispose]();
    },
  };
}

test('the 31st call of a request is refused before it is sent', async () => {
  await using started = await start();
  const { client, ping, sent } = started;

  await client.run(async () => {
    const callOften = async () => {
      await delay(1); // the stack of a first call without a wait before it has more frames
      for (;;) await ping();
    };
    await assert.rejects(callOften(), (error) => {
      assert.ok(error instanceof TooManyInvocationsError);
      const [first, second, ...frames] = error.message.split('\n');
      assert.equal(first, 'GitalyClient#call called 31 times from single request. Potential n+1?');
      assert.equal(second, 'The following call site called into Gitaly 31 times:');
      assert.match(frames[0] ?? '', /^Object\.ping|^ping/);
      assert.match(frames[1] ?? '', /^callOften \(.*gitaly-client\.test\.ts/);
      assert.equal(frames.at(-1), '');
      assert.deepEqual([error.callSite, error.invocationCount, error.maxCallStack], ['call', 31, 31]);
      return true;
    });
    assert.equal(client.getRequestCount(), 31);
  });
  assert.equal(sent.length, 30);
});

test('all call stacks with the same number of calls are listed', () => {
  const { message } = new TooManyInvocationsError(
    31,
    new Map([
      ['a\nb', 15],
      ['c', 15],
      ['d', 1],
    ]),
  );

  assert.equal(
    message,
    'GitalyClient#call called 31 times from single request. Potential n+1?\n' +
      'The following call site called into Gitaly 15 times:\na\nb\\nc\n',
  );
  assert.equal(
    new TooManyInvocationsError(31, new Map()).message,
    'GitalyClient#call called 31 times from single request. Potential n+1?',
  );
});

test('allowed calls are counted, but not against the limit', async () => {
  await using started = await start();
  const { client, ping } = started;

  await client.run(async () => {
    const value = await client.allowNPlus1Calls(async () => {
      for (let i = 0; i < 20; i++) await ping();
      await assert.rejects(
        client.allowNPlus1Calls(() => Promise.reject(new Error('inner'))),
        { message: 'inner' },
      );
      for (let i = 0; i < 20; i++) await ping();
      return 'value';
    });
    for (let i = 0; i < 30; i++) await ping();

    assert.equal(value, 'value');
    assert.equal(client.getRequestCount(), 70);
    await assert.rejects(ping(), TooManyInvocationsError);
    client.resetCounts();
    await ping();
    assert.equal(client.getRequestCount(), 1);
  });
});

// Born failing: the limit was off for all calls of the request while some were allowed.
test('the limit applies to calls beside allowed ones', async () => {
  await using started = await start();
  const { client, ping } = started;

  await client.run(async () => {
    const { promise: isOver, resolve: end } = Promise.withResolvers<void>();
    const allowed = client.allowNPlus1Calls(async () => {
      await isOver;
      for (let i = 0; i < 31; i++) await ping();
    });
    for (let i = 0; i < 30; i++) await ping();
    await assert.rejects(ping(), TooManyInvocationsError);
    end();
    await allowed;

    assert.equal(client.getRequestCount(), 62);
  });
});

// Born failing: each call of the loop had a stack of its own, with its index.
test('calls in Promise.all are counted as a loop', async () => {
  await using started = await start();
  const { client, ping } = started;
  const call = async () => {
    await Promise.resolve(); // what follows is called by Promise.all
    await ping();
  };
  const callAll = () => Promise.all(Array.from({ length: 31 }, call));

  const error = await client.run(callAll).catch((reason) => reason);

  assert.ok(error instanceof TooManyInvocationsError);
  assert.equal(error.maxCallStack, 31);
  assert.doesNotMatch(error.message, /index/);
});

test('no limit applies outside a request, in production, or when the limit is off', async () => {
  const often = async ({ client, ping }: Awaited<ReturnType<typeof start>>) => {
    for (let i = 0; i < 31; i++) await ping();
    return client.getRequestCount();
  };
  {
    await using outside = await start();
    assert.equal(await often(outside), 0);
    process.env.GITALY_DISABLE_REQUEST_LIMITS = '';
    assert.equal(await outside.client.run(() => often(outside)), 31);
    delete process.env.GITALY_DISABLE_REQUEST_LIMITS;
  }
  await using production = await start({ isProduction: true });
  assert.equal(await production.client.run(() => often(production)), 31);
  await using enforced = await start({
    isProduction: true,
    featureFlags: () => ({ gitaly_enforce_requests_limits: true }),
  });
  await assert.rejects(
    enforced.client.run(() => often(enforced)),
    TooManyInvocationsError,
  );
});

test("calls have Rails' metadata", async () => {
  const featureFlags = ({ project }: { project?: string }) => ({
    gitaly_find_all_tags: project === 'p1',
    other: true,
  });
  await using started = await start({ featureFlags });
  const { client, metadata } = started;
  const context = {
    username: 'jane',
    userId: 'user-1',
    glUserId: '1',
    remoteIp: '127.0.0.1',
    relativePath: 'a.git',
    isQuarantined: true,
    clientContext: { 'skip-ci': true },
  };

  await client.run(
    () =>
      client.withFeatureFlagActors({ project: 'p1' }, () =>
        client.call('default', (gitaly) => gitaly.server.serverInfo({}), {
          callSite: 'ProjectsController#show',
          remoteStorage: 'default',
          partitioningHint: 'pool.git',
        }),
      ),
    { context, deadline: new Date(Date.now() + 5000) },
  );

  const { 'gitaly-session-id': session, 'gitaly-servers': servers, ...others } = metadata();
  assert.match(String(session), /^[0-9a-f-]{36}$/);
  assert.deepEqual(JSON.parse(Buffer.from(String(servers), 'base64').toString()), {
    default: { address: client.addressOf('default'), token: '' },
  });
  assert.deepEqual(others, {
    call_site: 'ProjectsController#show',
    'gitaly-partitioning-hint': 'pool.git',
    'gitaly-feature-find-all-tags': 'true',
    username: 'jane',
    user_id: 'user-1',
    gl_user_id: '1',
    remote_ip: '127.0.0.1',
    'relative-path-bin': Buffer.from('a.git'),
    'gitaly-client-context-bin': Buffer.from('{"skip-ci":true}'),
    'gitaly-route-repository-accessor-policy': 'primary-only',
    deadline_type: 'limited',
  });
});

test('client context combines that of the request, the surroundings and the call', async () => {
  await using started = await start();
  const { client, metadata } = started;
  const info = (clientContext = {}) =>
    client.call('default', (gitaly) => gitaly.server.serverInfo({}), { clientContext });
  const sent = (index: number) => {
    const bytes = metadata(index)['gitaly-client-context-bin'];
    return bytes && JSON.parse(String(bytes));
  };

  await info();
  await client.withContext({ a: 'outer', b: true }, () =>
    client.run(() => client.withContext({ a: 'inner' }, () => info({ c: 'own' })), {
      context: { clientContext: { d: '1' } },
    }),
  );
  await client.withContext({ a: 'x' }, () => info());

  assert.deepEqual(
    [sent(0), sent(1), sent(2)],
    [undefined, { a: 'inner', b: true, c: 'own', d: '1' }, { a: 'x' }],
  );
});

test('long calls have the default timeout, except in jobs', async () => {
  const seconds = async (config: Partial<GitalyClientConfig>) => {
    await using started = await start(config);
    await started.client.call('default', (gitaly) => gitaly.server.serverInfo({}), { timeout: 'long' });
    return started.secondsLeft();
  };

  assert.equal(await seconds({ timeouts: { default: 40 } }), 40);
  assert.equal(await seconds({ clientName: 'gitlab-sidekiq' }), 6 * 60 * 60);
  assert.equal(await seconds({ timeouts: { long: 90 } }), 90);
});

test('a call ends at its own timeout, and no later than the request', async () => {
  await using started = await start({ timeouts: { medium: 20 } });
  const { client, secondsLeft: left, sent } = started;
  const info = (timeout?: 'default' | 'fast' | 'medium' | number) =>
    client.call(
      'default',
      (gitaly) => gitaly.server.serverInfo({}),
      timeout === undefined ? {} : { timeout },
    );

  await info();
  await info('fast');
  await info('medium');
  await info(0);
  await client.run(() => info('medium'), { deadline: new Date(Date.now() + 3000) });
  await client.run(() => info('medium'), { deadline: new Date(Date.now() + 60_000) });

  assert.deepEqual(
    [left(0), left(1), left(2), sent[3]?.options.deadline, left(4), left(5)],
    [55, 10, 20, undefined, 3, 20],
  );
  assert.equal(started.metadata(5).deadline_type, 'regular');
});

test('the time of a request and its calls are recorded; for streams only the waiting time', async () => {
  await using started = await start({ keepsCallDetails: () => true });
  const { client, ping } = started;

  await client.run(async () => {
    await ping();
    await client.call('default', (gitaly) => gitaly.repository.createRepository({ repository: REPOSITORY }));
    await client.call('default', async (gitaly) => {
      for await (const _ of slowly(gitaly.smartHttp.infoRefsUploadPack({ repository: REPOSITORY }), 200));
    });

    const details = client.callDetails();
    assert.deepEqual(
      details.map(({ feature }) => feature),
      [
        'repository_service#repository_exists',
        'repository_service#create_repository',
        'smart_http_service#info_refs_upload_pack',
      ],
    );
    assert.deepEqual(details[0]?.request, { repository: REPOSITORY });
    const seconds = details.reduce((sum, { durationMs }) => sum + durationMs, 0) / 1000;
    assert.ok(Math.abs(client.queryTime() - seconds) < 1e-5);
    assert.ok((details[2]?.durationMs ?? Number.NaN) < 200, 'the time of the reader does not count');
  });
  assert.deepEqual([client.queryTime(), client.callDetails()], [0, []]);
});

test('an error names its storage and call', async () => {
  await using started = await start();
  const { client } = started;
  const failing = client.call('default', (gitaly) =>
    gitaly.ref.refExists({ repository: REPOSITORY, ref: Buffer.from('refs/heads/x') }),
  );

  await assert.rejects(failing, (error: { code?: string; gitalyErrorMetadata?: unknown }) => {
    assert.equal(error.code, 'NOT_FOUND');
    const address = client.addressOf('default');
    assert.deepEqual(error.gitalyErrorMetadata, {
      storage: 'default',
      address,
      service: 'ref_service',
      rpc: 'ref_exists',
    });
    return true;
  });
});

test("a misconfigured storage is refused with GitLab's text", async () => {
  await using client = new GitalyClient({
    storages: {
      none: {},
      blank: { gitaly_address: ' ' },
      http: { gitaly_address: 'http://localhost' },
      both: { gitaly_address: 'tcp://a:1', gitaly_token: 'own' },
    },
    token: 'all',
  });
  const failure = (name: string) => client.call(name, async () => {}).catch((error: Error) => error.message);

  assert.equal(await failure('blank'), 'storage "blank" is missing a gitaly_address');
  assert.equal(await failure('x'), 'storage not found: "x"');
  assert.equal(await failure('toString'), 'storage not found: "toString"');
  assert.equal(await failure('none'), 'storage "none" is missing a gitaly_address');
  assert.equal(
    await failure('http'),
    `Unsupported Gitaly address: "http://localhost" does not use URL scheme 'tcp' or 'unix' or 'tls' or 'dns'`,
  );
});
