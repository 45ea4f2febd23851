import assert from 'node:assert/strict';
import { test } from 'node:test';
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
