import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Metadata } from '#rpc/common/metadata';
import { CallMetadata } from './call-metadata.ts';
import { withCorrelationId } from './correlation.ts';
import { withTraceContext } from './trace-context.ts';

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
const TRACEPARENT = `00-${TRACE}-00f067aa0ba902b7-01`;

test('a call has the surrounding correlation id and trace', () => {
  const metadata = withCorrelationId('the-id', () =>
    withTraceContext({ traceparent: TRACEPARENT }, () => new CallMetadata({}).of({})),
  );

  assert.equal(metadata.get('x-gitlab-correlation-id'), 'the-id');
  assert.equal(metadata.get('traceparent'), TRACEPARENT);
  assert.equal(metadata.get('uber-trace-id'), `${TRACE}:00f067aa0ba902b7:0:1`);
});

test("the connection's trace source overrides the surrounding trace, and false sends none", () => {
  const other = `00-${TRACE}-00000000000000ff-00`;

  withTraceContext({ traceparent: TRACEPARENT }, () => {
    assert.equal(
      new CallMetadata({ traceContext: () => ({ traceparent: other }) }).of({}).get('traceparent'),
      other,
    );
    assert.equal(new CallMetadata({ traceContext: () => undefined }).of({}).get('traceparent'), TRACEPARENT);
    assert.equal(new CallMetadata({ traceContext: false }).of({}).get('traceparent'), undefined);
  });
});

test("the call's own metadata replaces the connection's, key by key", () => {
  const sources = { metadata: { a: '1', b: '2' }, clientName: 'app', featureFlags: { find_all_tags: true } };

  const metadata = new CallMetadata(sources).of({
    metadata: { b: ['3', '4'] },
    featureFlags: { 'find-all-tags': false },
  });

  assert.deepEqual(
    [...metadata.entries()],
    [
      ['a', '1'],
      ['x-gitlab-client-name', 'app'],
      ['client_name', 'app'],
      ['gitaly-feature-find-all-tags', 'false'],
      ['b', '3'],
      ['b', '4'],
    ],
  );
});

test('a correlation id is that of the call, its surroundings or the connection, in this order', () => {
  const idOf = (metadata: CallMetadata, options = {}) => metadata.of(options).get('x-gitlab-correlation-id');
  const fixed = new CallMetadata({ correlationId: 'connection' });
  const computed = new CallMetadata({ correlationId: () => 'computed' });

  assert.deepEqual(
    [idOf(fixed), idOf(computed), idOf(new CallMetadata({}))],
    ['connection', 'computed', undefined],
  );
  withCorrelationId('around', () => {
    assert.equal(idOf(fixed), 'around');
    assert.equal(idOf(fixed, { correlationId: 'own' }), 'own');
  });
});

test('a client has its name under two keys', () => {
  const metadata = new CallMetadata({ clientName: 'tests' }).of({});

  assert.deepEqual([metadata.get('x-gitlab-client-name'), metadata.get('client_name')], ['tests', 'tests']);
});

test('feature flags of a call replace those of the connection', () => {
  const metadata = new CallMetadata({ featureFlags: { find_all_tags: true, other: false } });

  const flags = metadata.of({ featureFlags: { 'find-all-tags': false } });

  assert.equal(flags.get('gitaly-feature-find-all-tags'), 'false');
  assert.equal(flags.get('gitaly-feature-other'), 'false');
  assert.equal(metadata.of({}).get('gitaly-feature-find-all-tags'), 'true', 'of other calls');
});

test('credentials are computed for each call, and give way to its own metadata', () => {
  let count = 0;
  const credentials = { metadata: () => ({ authorization: `secret ${++count}` }) };
  const metadata = new CallMetadata({ metadata: { authorization: 'none' }, credentials });

  assert.equal(metadata.of({}).get('authorization'), 'secret 1');
  assert.equal(metadata.of({}).get('authorization'), 'secret 2');
  assert.equal(metadata.of({ metadata: { authorization: 'own' } }).get('authorization'), 'own');
});

test("a call's own list is sent as it is, if nothing is added", () => {
  const own = Metadata.from({ key: 'value' });
  const plain = new CallMetadata({});

  assert.equal(plain.of({ metadata: own }), own);
  for (const [sources, options] of [
    [{ clientName: 'tests' }, {}],
    [{ correlationId: 'id' }, {}],
    [{ credentials: { metadata: () => ({}) } }, {}],
    [{}, { featureFlags: { x: true } }],
    [{ traceContext: () => ({ traceparent: '' }) }, {}],
  ] as const) {
    const metadata = new CallMetadata(sources).of({ metadata: own, ...options });
    assert.notEqual(metadata, own, JSON.stringify([sources, options]));
    assert.equal(metadata.get('key'), 'value');
  }
  assert.equal([...own.entries()].length, 1, 'it has not changed');
});
