import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Secret } from '#base/secret';
import { callable } from '#rpc/common/grpc/grpc-method';
import { Metadata } from '#rpc/common/metadata';
import { signToken } from '#rpc/common/token-auth';
import { connectTo, only } from '#testkit/clients/in-process-rpc';
import { CommitService } from '#wire/gen/commit_pb';
import { Health } from '#wire/gen/grpc/health/v1/health_pb';
import { serve } from '../handler.ts';
import { healthService } from '../health.ts';
import type { ServerCall } from '../server-call.ts';
import { type AuthenticationOptions, authenticate, connectionTrust } from './authentication.ts';

const NOW_SECONDS = 1_700_000_000;
const TOKEN = new Secret('of both');
const GOOD = signToken('of both', NOW_SECONDS);
const WRONG = signToken('another', NOW_SECONDS);
const OLD = signToken('of both', NOW_SECONDS - 31);

/** Makes a call over a Unix socket, and one for the health, and returns what was counted. */
async function outcomeOf(authorization: string | undefined, options: Partial<AuthenticationOptions>) {
  const counted: unknown[] = [];
  await using server = connectTo({
    services: [serve(CommitService, { findCommit: () => ({}) }), healthService()],
    interceptors: [
      authenticate({
        token: TOKEN,
        transitioning: false,
        onChecked: (isEnforced, status) => counted.push([isEnforced, status]),
        onTokenError: (reason) => counted.push(reason),
        now: () => NOW_SECONDS * 1000,
        ...options,
      }),
    ],
  });
  const metadata = Metadata.from(authorization === undefined ? {} : { authorization });
  await only(server.channel.invoke(callable(Health.method.check), [{}]));
  const call = only(server.channel.invoke(callable(CommitService.method.findCommit), [{}], { metadata }));
  const code = await call.then(
    () => 'OK',
    (error: unknown) => (error instanceof Error && 'code' in error ? error.code : undefined),
  );
  return [code, ...counted];
}

test('only callers on Unix sockets are trusted without a token, and only where they are to be', () => {
  for (const trustsUnixSockets of [true, false]) {
    const intercept = authenticate({
      token: TOKEN,
      transitioning: false,
      trustsUnixSockets,
      onChecked: () => {},
      onTokenError: () => {},
    });
    for (const transport of ['unix', 'internal', 'tcp', 'tls'] as const) {
      // The interceptor uses no other fields.
      const call = { isPublic: false, peer: { transport }, headers: Metadata.from() } as ServerCall;
      if (trustsUnixSockets && (transport === 'unix' || transport === 'internal'))
        assert.equal(intercept(call), undefined);
      else assert.throws(() => intercept(call), { code: 'UNAUTHENTICATED' });
    }
  }
});

test('a token is checked with the clock of the machine', async () => {
  const signed = signToken('of both', Math.floor(Date.now() / 1000));

  assert.deepEqual(await outcomeOf(signed, { now: Date.now }), ['OK', [true, 'ok']]);
});

// The labels are those of Gitaly's gitaly_authentications_total.
for (const [what, authorization, options, expected] of [
  ['a valid token', GOOD, {}, ['OK', [true, 'ok']]],
  ['no token', undefined, {}, ['UNAUTHENTICATED', [true, 'unauthenticated']]],
  ['a wrong token', WRONG, {}, ['PERMISSION_DENIED', 'wrong hmac signature', [true, 'denied']]],
  ['an old token', OLD, {}, ['PERMISSION_DENIED', 'token has expired', [true, 'denied']]],
  [
    'a valid token while tokens are introduced',
    GOOD,
    { transitioning: true },
    ['OK', [false, 'would be ok']],
  ],
  [
    'a wrong token while tokens are introduced',
    WRONG,
    { transitioning: true },
    ['OK', 'wrong hmac signature', [false, 'denied']],
  ],
  [
    'no token on a server without one',
    undefined,
    { token: undefined },
    ['OK', [false, 'server disabled authentication']],
  ],
  [
    'no token on a trusted socket',
    undefined,
    { trustsUnixSockets: true },
    ['OK', [false, 'server disabled authentication']],
  ],
] as const) {
  test(`a call with ${what} ends with ${expected[0]}, and is counted`, async () => {
    assert.deepEqual(await outcomeOf(authorization, options), expected);
  });
}

for (const [transport, authorization, options, isTrusted] of [
  ['tcp', GOOD, { token: TOKEN }, true],
  ['tls', GOOD, { token: TOKEN }, true],
  ['tcp', WRONG, { token: TOKEN }, false],
  ['tcp', OLD, { token: TOKEN }, false],
  ['tcp', undefined, { token: TOKEN }, false],
  ['tcp', GOOD, { token: undefined }, false],
  ['unix', undefined, { token: undefined }, true],
  ['unix', undefined, { token: TOKEN }, false],
  ['unix', undefined, { token: TOKEN, trustsUnixSockets: true }, true],
  ['internal', undefined, { token: TOKEN }, true],
] as const) {
  const given = { [GOOD]: 'a valid token', [WRONG]: 'a wrong token', [OLD]: 'an old token' };
  const server = options.token === undefined ? 'without a token' : 'with a token';
  const more = 'trustsUnixSockets' in options ? ' for TCP' : '';
  const what = `a connection by ${transport} with ${given[authorization ?? ''] ?? 'nothing'}`;
  test(`a server ${server}${more} ${isTrusted ? 'trusts' : 'does not trust'} ${what}`, () => {
    const trusts = connectionTrust({ ...options, now: () => NOW_SECONDS * 1000 });

    assert.equal(trusts({ transport }, authorization), isTrusted);
  });
}
