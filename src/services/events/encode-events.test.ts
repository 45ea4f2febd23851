import assert from 'node:assert/strict';
import { test } from 'node:test';
import { create, toBinary } from '@bufbuild/protobuf';
import type { RepositoryEvent } from '#events/event';
import { fc } from '#testkit/fast-check';
import { encodeMessage } from '#wire/fast/encode-message';
import { WatchResponseSchema } from '#wire/gen/gitalyts/events/v1/events_pb';
import { encodeEvent } from './encode-event.ts';
import { encodeEvents } from './encode-events.ts';

const bytesAsText = fc.uint8Array().map((bytes) => Buffer.from(bytes).toString('latin1'));
const value = fc.option(fc.constantFrom('a'.repeat(40), 'ref: refs/heads/ü'), { nil: undefined });
const events: fc.Arbitrary<RepositoryEvent[]> = fc.array(
  fc
    .record({
      sequence: fc.maxSafeNat(),
      kind: fc.constantFrom('reference', 'created', 'removed', 'renamed', 'resync', 'compacted'),
      relativePath: fc.string({ unit: 'grapheme' }),
      timeMs: fc.nat({ max: 4e12 }),
      reference: fc.option(bytesAsText, { nil: undefined }),
      oldValue: value,
      newValue: value,
      previousPath: fc.option(fc.string({ unit: 'grapheme' }), { nil: undefined }),
    })
    // Fields without a value are absent.
    .map((record) => JSON.parse(JSON.stringify(record)) as RepositoryEvent),
);

test('events are encoded as the general encoder does, also for the second watcher', () => {
  fc.assert(
    fc.property(events, fc.maxSafeNat(), (found, cursor) => {
      const expected = toBinary(
        WatchResponseSchema,
        create(WatchResponseSchema, {
          events: found.map((event) => encodeEvent('default', event)),
          cursor: BigInt(cursor),
        }),
      );

      for (const _watcher of [1, 2]) {
        const chunks = encodeMessage(WatchResponseSchema, encodeEvents('default', found, cursor));
        assert.deepEqual(Buffer.concat(chunks), Buffer.from(expected));
      }
    }),
  );
});
