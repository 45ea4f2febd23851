import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CallError } from '#client/index';
import { initServed } from '#testkit/repositories/init-repository';
import { startGitaly, type TestGitaly } from '#testkit/start-gitaly';
import { until } from '#testkit/until';
import { LimitErrorSchema } from '#wire/gen/errors_pb';

const RPC = '/gitaly.CommitService/CheckObjectsExist';
const repository = { storageName: 'default', relativePath: 'x.git' };
const revisions = [Buffer.from('main')];

interface Held {
  /** The outcome of the call, which responds when its requests have ended. */
  readonly result: Promise<unknown>;
  end(): void;
}

/** Starts a call that lasts until `end`. */
function hold(
  gitaly: TestGitaly,
  options: { metadata?: Record<string, string>; signal?: AbortSignal; path?: string } = {},
): Held {
  const end = Promise.withResolvers<void>();
  async function* requests() {
    yield { repository: { ...repository, relativePath: options.path ?? 'x.git' }, revisions };
    await end.promise;
  }
  const { metadata, signal } = options;
  const call = gitaly.connection.commit.checkObjectsExist(requests(), {
    ...(metadata && { metadata }),
    ...(signal && { signal }),
  });
  const result = Array.fromAsync(call);
  result.catch(() => {}); // where a test does not check it
  return { result, end: () => end.resolve() };
}

async function start(
  limit: Readonly<Record<string, unknown>>,
  kind: 'concurrency' | 'rate_limiting' = 'concurrency',
): Promise<TestGitaly> {
  const gitaly = await startGitaly({
    config: { prometheus_listen_addr: '127.0.0.1:0', [kind]: [{ rpc: RPC, ...limit }] },
  });
  for (const name of ['x.git', 'y.git']) initServed(gitaly, name, { commits: 1 });
  return gitaly;
}

async function metrics(gitaly: TestGitaly): Promise<string[]> {
  const address = gitaly.log.find(({ msg }) => msg === 'starting prometheus listener')?.address;
  const text = await (await fetch(`http://${String(address)}/metrics`)).text();
  return text.split('\n').filter((line) => /^gitaly_(concurrency_limiting|requests_dropped)/.test(line));
}

const LABELS = 'grpc_method="CheckObjectsExist",grpc_service="gitaly.CommitService"';
const inProgress = (count: number): string =>
  `gitaly_concurrency_limiting_in_progress{${LABELS},system="gitaly"} ${count}`;
const untilMetric = (gitaly: TestGitaly, line: string): Promise<void> =>
  until(async () => (await metrics(gitaly)).includes(line), line);
const queued = (count: number): string =>
  `gitaly_concurrency_limiting_queued{${LABELS},system="gitaly"} ${count}`;

test('calls of one repository wait for their turn, and what does not fit is refused', async () => {
  await using gitaly = await start({ max_per_repo: 1, max_queue_size: 1 });
  const first = hold(gitaly);
  await untilMetric(gitaly, inProgress(1));
  const second = hold(gitaly);
  await untilMetric(gitaly, queued(1));
  const other = hold(gitaly, { path: 'y.git' });
  await untilMetric(gitaly, inProgress(2));

  const error = await hold(gitaly).result.catch((thrown: unknown) => thrown);
  assert.ok(error instanceof CallError);
  assert.equal(error.code, 'RESOURCE_EXHAUSTED');
  assert.equal(error.message, 'maximum queue size reached');
  const detail = error.detail(LimitErrorSchema);
  assert.equal(detail?.errorMessage, 'maximum queue size reached');
  assert.deepEqual([detail.retryAfter?.seconds, detail.retryAfter?.nanos], [0n, 0]);

  for (const call of [first, second, other]) call.end();
  await Promise.all([first.result, second.result, other.result]);
  const lines = () => gitaly.log.filter((line) => line['grpc.method'] === 'CheckObjectsExist');
  await until(() => lines().length === 4);
  const refused = lines().find((line) => line['limit.concurrency_dropped'] !== undefined);
  assert.equal(refused?.['limit.concurrency_dropped'], 'max_size');
  assert.equal(refused?.['limit.authenticated'], 'true');
  assert.equal(refused?.['limit.config_key'], 'concurrency[0]');
  assert.equal(refused?.['limit.limiting_type'], 'per-rpc');
  assert.equal(refused?.['limit.limiting_key'], 'x.git');
  const found = await metrics(gitaly);
  for (const line of [
    queued(0),
    inProgress(0),
    `gitaly_concurrency_limiting_acquiring_seconds_count{${LABELS},system="gitaly"} 3`,
    // The label names the limit: this one is for all callers.
    `gitaly_requests_dropped_total{authenticated="true",${LABELS},reason="max_size",system="gitaly"} 1`,
  ])
    assert.ok(found.includes(line), `${line}\n${found.join('\n')}`);
});

test('a wait ends after its time, and when the client leaves', async () => {
  await using gitaly = await start({ max_concurrency: 1, max_queue_wait: '50ms' });
  const first = hold(gitaly);
  await untilMetric(gitaly, inProgress(1));
  await assert.rejects(hold(gitaly).result, {
    code: 'RESOURCE_EXHAUSTED',
    message: 'maximum time in concurrency queue reached',
  });
  first.end();
  await first.result;
});

test('a client that leaves while it waits gives up its place', async () => {
  await using gitaly = await start({ max_concurrency: 1 });
  const first = hold(gitaly);
  await untilMetric(gitaly, inProgress(1));
  const abort = new AbortController();
  const waiting = hold(gitaly, { signal: abort.signal });
  await untilMetric(gitaly, queued(1));
  abort.abort();
  await assert.rejects(waiting.result, { code: 'CANCELLED' });
  await untilMetric(gitaly, queued(0));
  const next = hold(gitaly);
  for (const call of [first, next]) call.end();
  await next.result;
});

test('callers without a user have a limit of their own', async () => {
  await using gitaly = await start({
    max_concurrency: 2,
    unauthenticated: { max_concurrency: 1, max_queue_wait: '1ms' },
  });
  const anonymous = hold(gitaly);
  await untilMetric(gitaly, inProgress(1));
  await assert.rejects(hold(gitaly).result, { code: 'RESOURCE_EXHAUSTED' });
  const users = [1, 2].map(() => hold(gitaly, { metadata: { username: 'jane' } }));
  await untilMetric(gitaly, inProgress(3));
  for (const call of [anonymous, ...users]) call.end();
  await until(() => gitaly.log.some((line) => line['limit.authenticated'] === 'false'));
  await untilMetric(
    gitaly,
    `gitaly_requests_dropped_total{authenticated="false",${LABELS},reason="max_time",system="gitaly"} 1`,
  );
});

test('the flag limit_unauthenticated switches the limit of callers without a user off', async () => {
  await using gitaly = await start({
    max_concurrency: 2,
    unauthenticated: { max_concurrency: 1, max_queue_wait: '1ms' },
  });
  const metadata = { 'gitaly-feature-limit-unauthenticated': 'false' };
  const calls = [hold(gitaly, { metadata }), hold(gitaly, { metadata })];
  await untilMetric(gitaly, inProgress(2));
  for (const call of calls) call.end();
  await Promise.all(calls.map(({ result }) => result));
});

test('an adaptive limit starts at initial_limit and is in the metrics', async () => {
  await using gitaly = await start({ adaptive: true, initial_limit: 1, min_limit: 1, max_limit: 4 });
  await untilMetric(gitaly, `gitaly_concurrency_limiting_current_limit{limit="perRPC${RPC}"} 1`);
  const first = hold(gitaly);
  await untilMetric(gitaly, inProgress(1));
  const second = hold(gitaly);
  await untilMetric(gitaly, queued(1));
  for (const call of [first, second]) call.end();
  await Promise.all([first.result, second.result]);
});

test('calls above the rate are refused, and those of other repositories are not', async () => {
  await using gitaly = await start({ interval: '1h', burst: 1 }, 'rate_limiting');
  const [first, other] = [hold(gitaly), hold(gitaly, { path: 'y.git' })];
  for (const call of [first, other]) call.end();
  await Promise.all([first.result, other.result]);

  const error = await hold(gitaly).result.catch((thrown: unknown) => thrown);
  assert.ok(error instanceof CallError);
  assert.deepEqual([error.code, error.message], ['RESOURCE_EXHAUSTED', 'rate limit reached']);
  assert.equal(error.detail(LimitErrorSchema)?.errorMessage, 'rate limit reached');
  await until(() => gitaly.log.some((line) => line['limit.config_key'] === 'rate_limiting[0]'));
  await untilMetric(
    gitaly,
    `gitaly_requests_dropped_total{authenticated="false",${LABELS},reason="rate",system="gitaly"} 1`,
  );
});

test('without an interval there is no limit of the rate', async () => {
  await using gitaly = await start({ interval: '0s', burst: 0 }, 'rate_limiting');
  const call = hold(gitaly);
  call.end();
  await call.result;
});
