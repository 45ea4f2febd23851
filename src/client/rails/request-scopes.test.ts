import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { Metadata } from '#rpc/common/metadata';
import { startGitaly } from '#testkit/start-gitaly';
import type { Interceptor, Invocation } from '../call/call-types.ts';
import { CommitService, GitalyClient, TooManyInvocationsError } from './index.ts';

const SCOPES = 100;

test('100 requests at once never mix their users, flags, counts and calls', async () => {
  await using server = await startGitaly();
  const repository = await server.createRepository({ commits: 2 });
  const sent: Invocation[] = [];
  const watching: Interceptor = (invocation, next) => {
    sent.push(invocation);
    return next(invocation);
  };
  await using client = new GitalyClient({
    storages: { default: { gitaly_address: server.address } },
    featureFlags: ({ user = '' }) => ({ gitaly_scope_test: Number(user) % 2 === 0 }),
    keepsCallDetails: () => true,
    dialOptions: { interceptors: [watching] },
  });
  const commits = new CommitService(client, repository);

  const tip = await repository.git(['rev-parse', 'main']);
  const serve = async (number: number) => {
    const calls = number % 13; // a different number for neighbours
    for (let i = 0; i < calls; i++) {
      if (i % 2 === 0) await commits.findCommit('main');
      else for await (const _ of commits.listCommits('main')) await turn(); // other requests run in between
    }
    const own = client.callDetails().length;
    const allowed = await client.allowNPlus1Calls(() => commits.findCommit('main'));
    assert.equal(allowed?.id, tip);
    return { number, calls, counted: client.getRequestCount(), own };
  };
  const results = await Promise.all(
    Array.from({ length: SCOPES }, (_, number) =>
      client.run(() => client.withFeatureFlagActors({ user: String(number) }, () => serve(number)), {
        context: { username: `user-${number}`, remoteIp: `10.0.0.${number}` },
      }),
    ),
  );

  for (const { calls, counted, own } of results) assert.deepEqual([counted, own], [calls + 1, calls]);
  const sessions = new Map<string, Set<string>>();
  for (const { options } of sent) {
    const metadata = Metadata.from(options.metadata);
    const [user, ip, session] = ['username', 'remote_ip', 'gitaly-session-id'].map((key) =>
      String(metadata.get(key)),
    );
    const number = Number(user?.replace('user-', ''));
    assert.equal(ip, `10.0.0.${number}`);
    assert.equal(metadata.get('gitaly-feature-scope-test'), String(number % 2 === 0));
    sessions.set(user ?? '', (sessions.get(user ?? '') ?? new Set()).add(session ?? ''));
  }
  assert.equal(sessions.size, SCOPES);
  assert.ok(
    [...sessions.values()].every(({ size }) => size === 1),
    'one session id a request',
  );
  assert.equal(new Set([...sessions.values()].flatMap((ids) => [...ids])).size, SCOPES);
  assert.equal(client.getRequestCount(), 0);
});

test('a request at its limit does not disturb those beside it', async () => {
  await using server = await startGitaly();
  const repository = await server.createRepository({ commits: 1 });
  await using client = new GitalyClient({ storages: { default: { gitaly_address: server.address } } });
  const commits = new CommitService(client, repository);
  const calls = (count: number) =>
    client.run(async () => {
      for (let i = 0; i < count; i++) await commits.findCommit('main');
      return client.getRequestCount();
    });

  const results = await Promise.allSettled([calls(31), calls(30), calls(31), calls(30)]);

  assert.deepEqual(
    results.map((result) => (result.status === 'fulfilled' ? result.value : result.reason.constructor)),
    [TooManyInvocationsError, 30, TooManyInvocationsError, 30],
  );
});
