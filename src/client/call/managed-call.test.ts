import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GitalyError } from '#base/gitaly-error';
import type { ChannelCallOptions } from '#rpc/common/grpc/channel-call';
import { Metadata } from '#rpc/common/metadata';
import { RefService } from '#wire/gen/ref_pb';
import { methodInfo } from '#wire/method-info';
import { type CallHost, startCall } from './call.ts';
import { CallError } from './call-error.ts';
import { CallMetadata } from './call-metadata.ts';
import type { CallOptions, Invocation } from './call-types.ts';

const REF_EXISTS = methodInfo(RefService.method.refExists);
const NEVER_MS = 1_000_000;

/** The answer to one attempt: messages, or the error that it fails with. */
type Answer = readonly unknown[] | GitalyError;

interface Arranged {
  readonly host: CallHost;
  readonly sent: ChannelCallOptions[];
  /** Number of calls that hold the transport. */
  readonly held: () => number;
  readonly cancelled: unknown[];
}

/** A host with one transport that answers each attempt in turn. */
function arrange(answers: readonly Answer[], options: Partial<CallHost> = {}): Arranged {
  const sent: ChannelCallOptions[] = [];
  const cancelled: unknown[] = [];
  let held = 0;
  const invoke = (_method: unknown, _requests: unknown, callOptions: ChannelCallOptions) => {
    const answer = answers[sent.length] ?? [];
    sent.push(callOptions);
    const isFailed = answer instanceof GitalyError;
    return {
      headers: Promise.resolve(Metadata.from(isFailed ? {} : { 'content-type': 'application/grpc' })),
      trailers: Promise.resolve(Metadata.from(isFailed ? {} : { trailer: 'yes' })),
      cancel: (reason: unknown) => cancelled.push(reason),
      async *[Symbol.asyncIterator]() {
        if (isFailed) throw answer;
        yield* answer;
      },
    };
  };
  const transport = { channel: { invoke }, hold: () => held++, release: () => held-- };
  const host = {
    ...{ address: 'unix:x', balancer: { pick: () => transport }, metadata: new CallMetadata({}) },
    ...{ retryPolicy: undefined, defaultTimeoutMs: undefined, isSidechannelUnused: undefined },
    ...options,
  };
  // The call uses nothing else of a balancer and a channel.
  return { host: host as unknown as CallHost, sent, held: () => held, cancelled };
}

const invocation = (options: CallOptions = {}, requests: Invocation['requests'] = [{}]): Invocation => ({
  ...{ method: REF_EXISTS, options, requests },
});

/** Time limit that the server receives, in ms from now, rounded to seconds. */
function limitOf({ deadline }: ChannelCallOptions = {}): number | undefined {
  return deadline && Math.round((deadline.getTime() - Date.now()) / 1000) * 1000;
}

test('the earlier of a deadline and a timeout applies, and the default without both', async () => {
  const at = (ms: number) => new Date(Date.now() + ms);
  for (const [options, defaultTimeoutMs, expected] of [
    [{}, undefined, undefined],
    [{}, 60_000, 60_000],
    [{ timeoutMs: 90_000 }, 60_000, 90_000],
    [{ deadline: at(90_000) }, 60_000, 90_000],
    [{ deadline: at(90_000), timeoutMs: 30_000 }, undefined, 30_000],
    [{ deadline: at(30_000), timeoutMs: 90_000 }, undefined, 30_000],
  ] as const) {
    const { host, sent } = arrange([[1]], { defaultTimeoutMs });
    await Array.fromAsync(startCall(host, invocation(options)));
    assert.equal(limitOf(sent[0]), expected, JSON.stringify(options));
  }
});

test('the signal and the metadata of a call are sent, and its listeners called once', async () => {
  const { host, sent } = arrange([[1, 2]]);
  const { signal } = new AbortController();
  const heard: (string | string[] | Buffer | undefined)[] = [];
  const onHeaders = (headers: Metadata) => void heard.push(String(headers.get('content-type')));
  const onTrailers = (trailers: Metadata) => void heard.push(String(trailers.get('trailer')));

  const call = startCall(host, invocation({ signal, metadata: { key: 'value' }, onHeaders, onTrailers }));

  assert.deepEqual(await Array.fromAsync(call), [1, 2]);
  assert.deepEqual([sent[0]?.signal, Metadata.from(sent[0]?.metadata).get('key')], [signal, 'value']);
  assert.deepEqual(heard, ['application/grpc', 'yes']);
  assert.equal((await call.headers).get('content-type'), 'application/grpc');
  assert.equal((await call.trailers).get('trailer'), 'yes');
});

test('a transport is held while each attempt runs', async () => {
  const { host, held } = arrange([[1]]);
  const call = startCall(host, invocation());
  await call.headers;

  await Array.fromAsync(call);
  await call.trailers;

  assert.equal(held(), 0);
});

test('a call that the server did not process is repeated twice, of any method and at once', async () => {
  const unprocessed = new GitalyError('UNAVAILABLE', 'GOAWAY', { metadata: { unprocessed: true } });
  const enough = arrange([unprocessed, unprocessed, [1]]);
  const tooFew = arrange([unprocessed, unprocessed, unprocessed, [1]]);

  assert.deepEqual(await Array.fromAsync(startCall(enough.host, invocation())), [1]);
  await assert.rejects(Array.fromAsync(startCall(tooFew.host, invocation())), { code: 'UNAVAILABLE' });

  assert.deepEqual([enough.sent.length, tooFew.sent.length], [3, 3]);
});

test('a call whose sidechannel was used is not repeated, and its error says so', async () => {
  const unprocessed = new GitalyError('UNAVAILABLE', 'GOAWAY', { metadata: { unprocessed: true } });
  const metadata = { 'gitaly-sidechannel-id': '7' };
  for (const isUnused of [true, false]) {
    const asked: string[] = [];
    const isSidechannelUnused = (id: string): boolean => {
      asked.push(id);
      return isUnused;
    };
    const { host, sent } = arrange(Array(9).fill(unprocessed), { isSidechannelUnused });

    const error = await Array.fromAsync(startCall(host, invocation({ metadata }))).catch((e) => e);

    assert.equal(sent.length, isUnused ? 3 : 1);
    assert.equal(error.retryable, isUnused);
    assert.deepEqual(new Set(asked), new Set(['7']));
  }
});

test('a call that cannot be sent fails with the reason, and may be repeated', async () => {
  const cause = new Error('connect ENOENT');
  for (const reason of [
    new GitalyError('UNAVAILABLE', 'no server', { cause, metadata: { temporary: false } }),
    new GitalyError('UNAVAILABLE', 'no server', { metadata: { temporary: false } }),
  ]) {
    const waitForTransport = () => Promise.reject(reason);
    const balancer = { pick: () => undefined, waitForTransport };
    const { host } = arrange([], { balancer: balancer as unknown as CallHost['balancer'] });
    const call = startCall(host, invocation());

    const error = await Array.fromAsync(call).catch((e) => e);

    assert.ok(error instanceof CallError);
    assert.deepEqual([error.code, error.message, error.retryable], ['UNAVAILABLE', 'no server', true]);
    assert.equal(error.cause, reason.cause ?? reason);
    assert.deepEqual(error.metadata, { temporary: false, unsent: true });
    await assert.rejects(call.headers, { code: 'UNAVAILABLE' });
    await assert.rejects(call.trailers, { code: 'UNAVAILABLE' });
  }
});

test('other failures to get a connection are passed on as they are', async () => {
  const closing = new GitalyError('CANCELLED', 'the client connection is closing');
  const balancer = { pick: () => undefined, waitForTransport: () => Promise.reject(closing) };
  const { host } = arrange([], { balancer: balancer as unknown as CallHost['balancer'] });

  const error = await Array.fromAsync(startCall(host, invocation())).catch((e) => e);

  assert.deepEqual([error.code, error.metadata.unsent], ['CANCELLED', undefined]);
});

test('a cancelled call ends with the reason, if that is an error of a call', async () => {
  const stopped = new GitalyError('ABORTED', 'no longer wanted');
  for (const [reason, code, message] of [
    [stopped, 'ABORTED', 'no longer wanted'],
    [new Error('why'), 'CANCELLED', 'context canceled'],
  ] as const) {
    const unavailable = new GitalyError('UNAVAILABLE', 'sorry');
    const retryPolicy = { maxAttempts: 4, initialBackoffMs: NEVER_MS, maxBackoffMs: NEVER_MS };
    const policy = { ...retryPolicy, multiplier: 1, codes: ['UNAVAILABLE'] } as const;
    const { host, sent, cancelled } = arrange([unavailable, [1]], { retryPolicy: policy });
    const call = startCall(host, invocation());
    const result = Array.fromAsync(call).catch((e) => e);
    while (sent.length === 0) await new Promise(setImmediate);
    await new Promise(setImmediate); // it waits for the next attempt

    call.cancel(reason);
    call.cancel(new GitalyError('INTERNAL', 'a second reason'));

    const error = await result;
    assert.deepEqual([error.code, error.message], [code, message]);
    assert.equal(sent.length, 1);
    assert.deepEqual(new Set(cancelled).size, 1, 'the first reason counts');
    assert.equal(Object(cancelled[0]).code, code);
  }
});

test('a signal that ended the call is the cause of its error', async () => {
  const abort = new AbortController();
  const reason = new Error('the user left');
  const { host } = arrange([new GitalyError('CANCELLED', 'context canceled')]);
  abort.abort(reason);
  const { host: other } = arrange([new GitalyError('INTERNAL', 'broken')]);

  const error = await Array.fromAsync(startCall(host, invocation({ signal: abort.signal }))).catch((e) => e);
  const broken = await Array.fromAsync(startCall(other, invocation({ signal: abort.signal }))).catch(
    (e) => e,
  );

  assert.deepEqual([error.code, error.cause], ['CANCELLED', reason]);
  assert.notEqual(broken.cause, reason);
});
