import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { initRepository, initServed } from '#testkit/repositories/init-repository';
import { type StartGitalyOptions, startGitaly, type TestGitaly } from '#testkit/start-gitaly';
import { until } from '#testkit/until';
import { type CollectedSpan, startGrpcCollector, startHttpCollector } from './otlp-collector.ts';

const repository = { storageName: 'default', relativePath: 'x.git', glRepository: 'project-1' };
const TRACE = '0af7651916cd43dd8448eb211c80319c';
const PARENT = 'b7ad6b7169203331';
const TRACEPARENT = `00-${TRACE}-${PARENT}-01`;

/** Starts a server with `GITLAB_TRACING`, which it reads only at the start. */
async function startTraced(setting: string, options: StartGitalyOptions = {}): Promise<TestGitaly> {
  process.env.GITLAB_TRACING = setting;
  try {
    const gitaly = await startGitaly({
      ...options,
      config: { git: { in_process: false }, ...options.config },
    });
    initServed(gitaly, 'x.git', { commits: 2 });
    return gitaly;
  } finally {
    delete process.env.GITLAB_TRACING;
  }
}

function countCommits({ connection }: TestGitaly, metadata: Readonly<Record<string, string>> = {}) {
  const request = { repository, revision: Buffer.from('main') };
  return connection.commit.countCommits(request, { metadata });
}

const named = (spans: readonly CollectedSpan[], name: string): CollectedSpan[] =>
  spans.filter((span) => span.name === name);

for (const { protocol, startCollector } of [
  { protocol: 'otlp-http', startCollector: startHttpCollector },
  { protocol: 'otlp-grpc', startCollector: startGrpcCollector },
]) {
  test(`spans of a call and its git command are sent by ${protocol}, in the client's trace`, async () => {
    await using collector = await startCollector();
    const setting = `${protocol}://${collector.address}?sampler_param=1&header^X-Api-Key=key`;
    {
      await using gitaly = await startTraced(setting);
      await countCommits(gitaly, { traceparent: TRACEPARENT, 'x-gitlab-correlation-id': 'mine' });
    }

    const [call] = named(collector.spans, 'gitaly.CommitService/CountCommits');
    const [command] = named(collector.spans, 'git-rev-list');
    assert.deepEqual([call?.traceId, call?.parentId, call?.status], [TRACE, PARENT, 0]);
    assert.equal(call?.attributes['rpc.grpc.status_code'], 0);
    assert.equal(call?.attributes.correlation_id, 'mine');
    assert.deepEqual([command?.traceId, command?.parentId], [TRACE, call?.spanId]);
    assert.equal(command?.attributes.exit_code, 0);
    assert.match(String(command?.attributes.args), /rev-list .*main/);
    assert.match(String(command?.attributes.path), /x\.git$/);
    assert.ok(Number(command?.attributes.pid) > 0);
    assert.ok((command?.durationNs ?? 0n) > 0n && (command?.durationNs ?? 0n) < (call?.durationNs ?? 0n));
    assert.equal(named(collector.spans, 'gitaly-bootstrap').length, 1);
    assert.equal(collector.headers[0]?.['x-api-key'], 'key');
  });
}

test('a trace of an older client continues by uber-trace-id', async () => {
  await using collector = await startHttpCollector();
  {
    await using gitaly = await startTraced(`otlp-http://${collector.address}?sampler_param=1`);
    await countCommits(gitaly, { 'uber-trace-id': `${TRACE}:${PARENT}:0:1` });
  }

  const [call] = named(collector.spans, 'gitaly.CommitService/CountCommits');
  assert.deepEqual([call?.traceId, call?.parentId], [TRACE, PARENT]);
});

test('a failed call, its wait for a limit and a malformed header', async () => {
  await using collector = await startHttpCollector();
  {
    await using gitaly = await startTraced(`otlp-http://${collector.address}?sampler_param=1`, {
      config: {
        concurrency: [{ rpc: '/gitaly.CommitService/CheckObjectsExist', max_concurrency: 1 }],
        prometheus_listen_addr: '127.0.0.1:0',
      },
    });
    const end = Promise.withResolvers<void>();
    async function* requests() {
      yield { repository, revisions: [Buffer.from('main')] };
      await end.promise;
    }
    const { commit } = gitaly.connection;
    const calls = [1, 2].map(() => Array.fromAsync(commit.checkObjectsExist(requests())));
    const address = gitaly.log.find(({ msg }) => msg === 'starting prometheus listener')?.address;
    await until(async () => {
      const text = await (await fetch(`http://${String(address)}/metrics`)).text();
      return /gitaly_concurrency_limiting_queued\{.*\} 1\n/.test(text);
    });
    end.resolve();
    await Promise.all(calls);
    await assert.rejects(
      commit.countCommits(
        { repository: { ...repository, relativePath: 'none.git' } },
        {
          metadata: { traceparent: 'nonsense' },
        },
      ),
    );
  }

  const [failed] = named(collector.spans, 'gitaly.CommitService/CountCommits');
  assert.deepEqual([failed?.status, failed?.parentId], [2, '']);
  const [wait, ...others] = named(collector.spans, 'limiter.ConcurrencyLimiter.Limit');
  assert.equal(wait?.attributes.key, 'concurrency[0]');
  assert.equal(others.length, 0);
  const limited = named(collector.spans, 'gitaly.CommitService/CheckObjectsExist');
  assert.ok(limited.some(({ spanId }) => spanId === wait?.parentId));
});

test('hooks have spans, and scripts continue the trace by their environment', async () => {
  await using collector = await startHttpCollector();
  let written = '';
  {
    await using gitaly = await startTraced(`otlp-http://${collector.address}?sampler_param=1`, {
      customHooks: true,
    });
    const script = join(gitaly.directory, 'custom_hooks/update.d/1');
    const output = join(gitaly.directory, 'environment');
    mkdirSync(dirname(script), { recursive: true });
    writeFileSync(script, `#!/bin/sh\nenv > "${output}"\n`, { mode: 0o755 });
    await gitaly.connection.operation.userCreateBranch(
      {
        repository,
        branchName: Buffer.from('new'),
        startPoint: Buffer.from('main'),
        user: { glId: 'user-1', glUsername: 'u', name: Buffer.from('U'), email: Buffer.from('u@x') },
      },
      { metadata: { traceparent: TRACEPARENT, 'x-gitlab-correlation-id': 'mine' } },
    );
    written = readFileSync(output, 'utf8');
  }

  const [call] = named(collector.spans, 'gitaly.OperationService/UserCreateBranch');
  for (const hook of ['pre-receive', 'update', 'post-receive']) {
    const [span] = named(collector.spans, `hook-${hook}`);
    assert.equal(span?.parentId, call?.spanId, hook);
  }
  assert.match(written, new RegExp(`^traceparent=00-${TRACE}-${call?.spanId}-01$`, 'm'));
  assert.match(written, /^CORRELATION_ID=mine$/m);
});

test('calls to another server are in the same trace', async () => {
  await using collector = await startHttpCollector();
  {
    await using here = await startTraced(`otlp-http://${collector.address}?sampler_param=1`);
    await using there = await startTraced(`otlp-http://${collector.address}?sampler_param=1`, {
      storages: ['far', 'default'],
    });
    initRepository(join(there.storagePath('far'), 'source.git'), { commits: 1 });
    const source = { storageName: 'far', relativePath: 'source.git' };
    const servers = { far: { address: there.address, token: '' } };
    const metadata = {
      'gitaly-servers': Buffer.from(JSON.stringify(servers)).toString('base64'),
      traceparent: TRACEPARENT,
    };
    await here.connection.repository.replicateRepository(
      { repository: { ...repository, relativePath: 'copy.git' }, source },
      { metadata },
    );
  }

  const ofTrace = collector.spans.filter(({ traceId }) => traceId === TRACE).map(({ name }) => name);
  for (const name of ['RepositoryService/ReplicateRepository', 'RepositoryService/GetCustomHooks'])
    assert.ok(ofTrace.includes(`gitaly.${name}`), `${name} in ${ofTrace.join(', ')}`);
});

test('a ratio of 0 records nothing', async () => {
  await using collector = await startHttpCollector();
  {
    await using gitaly = await startTraced(`otlp-http://${collector.address}?sampler_param=0`);
    await countCommits(gitaly);
  }

  assert.deepEqual(collector.spans, []);
});

test('a bad setting is logged, and the server runs', async () => {
  await using gitaly = await startTraced('something://x');

  await countCommits(gitaly);

  const line = gitaly.log.find(({ msg }) => msg === 'error initializing distributed tracing');
  assert.equal(line?.error, 'invalid configuration: unsupported protocol (something)');
});

test('a collector that is not there is logged and delays nothing', async () => {
  let log: TestGitaly['log'];
  {
    await using gitaly = await startTraced('otlp-grpc://127.0.0.1:1?sampler_param=1&header^Key=secret-key');
    log = gitaly.log;
    await countCommits(gitaly);
  }

  const line = log.find(({ msg }) => msg === 'the last spans could not be sent');
  assert.match(String(line?.error), /ECONNREFUSED/);
  assert.doesNotMatch(JSON.stringify(log), /secret-key/);
});
