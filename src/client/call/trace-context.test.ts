import assert from 'node:assert/strict';
import { test } from 'node:test';
import { currentTraceContext, traceContextOf, traceHeaders, withTraceContext } from './trace-context.ts';

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
const SPAN = '00f067aa0ba902b7';
const TRACEPARENT = `00-${TRACE}-${SPAN}-01`;

test("a W3C context is also sent in Jaeger's format", () => {
  assert.deepEqual(traceHeaders({ traceparent: TRACEPARENT, tracestate: 'vendor=1' }), [
    ['traceparent', TRACEPARENT],
    ['uber-trace-id', `${TRACE}:${SPAN}:0:1`],
    ['tracestate', 'vendor=1'],
  ]);
  const [, [, flagged = ''] = []] = traceHeaders({ traceparent: TRACEPARENT.replace(/01$/, 'fe') });
  assert.equal(flagged, `${TRACE}:${SPAN}:0:fe`);
});

test('a Jaeger context is also sent in W3C format, with the zeros that Jaeger omits', () => {
  assert.deepEqual(traceHeaders({ uberTraceId: 'A1:b2:0:3' }), [
    ['traceparent', `00-${'a1'.padStart(32, '0')}-${'b2'.padStart(16, '0')}-01`],
    ['uber-trace-id', 'A1:b2:0:3'],
  ]);
  const [[, unsampled = ''] = []] = traceHeaders({ uberTraceId: 'a1:b2:0:10' });
  assert.match(unsampled, /-00$/);
});

test('a malformed context is omitted', () => {
  for (const context of [
    {},
    { traceparent: '' },
    { traceparent: 'nonsense' },
    { traceparent: `00-${TRACE}-${SPAN}` },
    { uberTraceId: 'x:y:z:1' },
    { tracestate: 'vendor=1' },
  ]) {
    assert.deepEqual(traceHeaders(context), []);
  }
  assert.deepEqual(traceHeaders({ traceparent: TRACEPARENT, tracestate: 'a\nb' }).length, 2);
  const mixed = { traceparent: 'nonsense', tracestate: 'vendor=1', uberTraceId: 'a1:b2:0:1' };
  assert.deepEqual(
    traceHeaders(mixed),
    traceHeaders({ uberTraceId: mixed.uberTraceId }),
    'the state is of a context that is omitted',
  );
});

test('the context of a served request is read', () => {
  const context = traceContextOf({
    traceparent: TRACEPARENT,
    'uber-trace-id': ['1:2:0:1', '3:4:0:1'],
    host: 'a',
  });

  assert.deepEqual(context, { traceparent: TRACEPARENT, uberTraceId: '1:2:0:1' });
});

test('the context applies to everything that the work starts, and not afterwards', async () => {
  const context = { traceparent: TRACEPARENT };

  await withTraceContext(context, async () => {
    await Promise.resolve();
    assert.equal(currentTraceContext(), context);
  });
  assert.equal(currentTraceContext(), undefined);
});
