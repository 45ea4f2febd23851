import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GitalyError } from '#base/gitaly-error';
import type { ChannelCallOptions } from '#rpc/common/grpc/channel-call';
import { Metadata } from '#rpc/common/metadata';
import { RefService } from '#wire/gen/ref_pb';
import { methodInfo } from '#wire/method-info';
import { type CallHost, startCall } from './call.ts';
import { CallMetadata } from './call-metadata.ts';
import type { CallOptions } from './call-types.ts';

const REF_EXISTS = methodInfo(RefService.method.refExists);
const ANSWERED = Metadata.from({ 'content-type': 'application/grpc' });
const TRAILERS = Metadata.from({ trailer: 'yes' });

/** The course of an attempt: its responses, and its error. */
interface Attempt {
  readonly headers?: Metadata;
  readonly responses?: readonly string[];
  readonly error?: GitalyError;
}

/** Starts a raw call on a connection whose channel behaves as the attempts describe. */
function start(attempts: readonly Attempt[], options: CallOptions = {}, host: Partial<CallHost> = {}) {
  const sent: ChannelCallOptions[] = [];
  const cancelled: unknown[] = [];
  let held = 0;
  const invokeRaw = (_method: unknown, _requests: unknown, callOptions: ChannelCallOptions) => {
    const { error, headers = ANSWERED, responses = [] } = attempts[sent.length] ?? {};
    sent.push(callOptions);
    return {
      headers: Promise.resolve(headers),
      trailers: Promise.resolve(TRAILERS),
      cancel: (reason: unknown) => cancelled.push(reason),
      async *[Symbol.asyncIterator]() {
        callOptions.onHeaders?.(headers);
        yield* responses.map((text) => Buffer.from(text));
        callOptions.onEnd?.(TRAILERS, error);
        if (error !== undefined) throw error;
      },
    };
  };
  const transport = { channel: { invokeRaw }, hold: () => held++, release: () => held-- };
  const parts = {
    ...{ address: 'unix:x', balancer: { pick: () => transport }, metadata: new CallMetadata({}) },
    ...{ retryPolicy: undefined, defaultTimeoutMs: undefined, isSidechannelUnused: undefined },
    ...host,
  };
  const heard: string[] = [];
  const call = startCall(parts as unknown as CallHost, {
    ...{ method: REF_EXISTS, requests: [Buffer.from('request')], isRaw: true },
    options: {
      onHeaders: (headers) => void heard.push(`headers ${headers.get('content-type')}`),
      onTrailers: (trailers) => void heard.push(`trailers ${trailers.get('trailer')}`),
      ...options,
    },
  });
  const responses = async () => (await Array.fromAsync(call)).map(String);
  return { call, cancelled, heard, held: () => held, responses, sent };
}

const unprocessed = new GitalyError('UNAVAILABLE', 'GOAWAY', { metadata: { unprocessed: true } });

test('responses, headers and trailers arrive, and the transport is held meanwhile', async () => {
  const deadline = new Date(Date.now() + 60_000);
  const { call, heard, held, responses, sent } = start([{ responses: ['1', '2'] }], { deadline });
  assert.equal(held(), 1);

  assert.deepEqual(await responses(), ['1', '2']);

  assert.deepEqual(heard, ['headers application/grpc', 'trailers yes']);
  assert.equal(held(), 0);
  assert.equal(sent[0]?.deadline, deadline);
  assert.equal((await call.headers).get('content-type'), 'application/grpc');
  assert.equal((await call.trailers).get('trailer'), 'yes');
});

test('a call that succeeds with only a status has trailers, and no headers', async () => {
  const { heard, responses } = start([{ headers: Metadata.fromWire(['grpc-status', '0']) }]);
  assert.deepEqual(await responses(), []);
  assert.deepEqual(heard, ['trailers yes']);
});

test('a failed call throws the error with the trailers, and reports none without headers', async () => {
  const error = new GitalyError('NOT_FOUND', 'no such thing');
  const headers = Metadata.fromWire(['grpc-status', '5']);
  const { heard, responses, sent } = start([{ headers, error }]);

  await assert.rejects(responses(), (thrown: { code?: string; trailers?: Metadata; address?: string }) => {
    assert.deepEqual([thrown.code, thrown.address], ['NOT_FOUND', 'unix:x']);
    assert.equal(thrown.trailers?.get('trailer'), 'yes');
    return true;
  });
  assert.deepEqual([heard, sent.length], [[], 1]);
});

test('a call that the server did not process is started again', async () => {
  const headers = Metadata.fromWire([]);
  const refused = { headers: Metadata.fromWire(['grpc-status', '14']), error: unprocessed };
  const { heard, held, responses, sent } = start([
    refused,
    { headers, error: unprocessed },
    { responses: ['1'] },
  ]);

  assert.deepEqual(await responses(), ['1']);

  assert.equal(sent.length, 3);
  assert.deepEqual(heard, ['headers application/grpc', 'trailers yes']);
  await Promise.resolve();
  assert.equal(held(), 0);
});

test('a call that has responded, or was cancelled, is not started again', async () => {
  const answered = start([{ responses: ['1'], error: unprocessed }]);
  await assert.rejects(answered.responses(), { message: 'GOAWAY' });
  assert.equal(answered.sent.length, 1);

  const left = start([{ headers: Metadata.fromWire(['grpc-status', '14']), error: unprocessed }]);
  left.call.cancel();
  await assert.rejects(left.responses(), { message: 'GOAWAY' });
  assert.equal(left.sent.length, 1);
  assert.match(String(left.cancelled[0]), /context canceled/);
});

test('leaving the loop cancels the call', async () => {
  const { call, cancelled } = start([{ responses: ['1', '2'] }]);
  for await (const _ of call) break;
  assert.match(String(cancelled[0]), /context canceled/);
});
