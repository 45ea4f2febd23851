import assert from 'node:assert/strict';
import { test } from 'node:test';
import { create } from '@bufbuild/protobuf';
import { GitalyError } from '#base/gitaly-error';
import { type CallErrorFacts, callError, methodOf } from '#testkit/praefect/proxied-node';
import { LimitErrorSchema } from '#wire/gen/errors_pb';
import { hasGone, wasNotProcessed } from './gone-node.ts';

const method = methodOf('WriteRef');

for (const { name, code = 'UNAVAILABLE', facts, gone, unprocessed } of [
  { name: 'a read that was cut off', gone: true, unprocessed: false },
  { name: 'a write that was cut off', facts: { method }, gone: false, unprocessed: false },
  { name: 'a read without a connection', facts: { unsent: true }, gone: true, unprocessed: true },
  { name: 'a write without a connection', facts: { method, unsent: true }, gone: true, unprocessed: true },
  {
    name: 'a write that a node did not start with',
    facts: { method, unprocessed: true },
    ...{ gone: true, unprocessed: true },
  },
  {
    name: 'a call that a limit refused',
    facts: { details: [create(LimitErrorSchema, {})] },
    ...{ gone: false, unprocessed: false },
  },
  { name: 'a read that failed', code: 'INTERNAL', gone: false, unprocessed: false },
  {
    name: 'a call with another code that was not sent',
    code: 'CANCELLED',
    facts: { unsent: true },
    ...{ gone: false, unprocessed: true },
  },
] as readonly {
  readonly name: string;
  readonly code?: 'UNAVAILABLE' | 'INTERNAL' | 'CANCELLED';
  readonly facts?: CallErrorFacts;
  readonly gone: boolean;
  readonly unprocessed: boolean;
}[])
  test(`${name}: another node ${gone ? 'may take it' : 'does not take it'}`, () => {
    const error = callError(code, facts);
    assert.deepEqual([hasGone(error), wasNotProcessed(error)], [gone, unprocessed]);
  });

test('an error that is none of a node has no second attempt', () => {
  const error = new GitalyError('UNAVAILABLE', 'gone', { metadata: { unsent: true } });
  assert.deepEqual([hasGone(error), wasNotProcessed(error)], [false, false]);
});
