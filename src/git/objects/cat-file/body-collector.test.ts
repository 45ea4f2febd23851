import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fc } from '#testkit/fast-check';
import { BodyCollector } from './body-collector.ts';

test('contents are joined, and a single piece is returned itself', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 20 })), (parts) => {
      const pieces = parts.map((part) => Buffer.from(part));
      const whole = Buffer.concat(pieces);
      const collector = new BodyCollector(whole.length);

      for (const piece of pieces) collector.add(piece);

      assert.ok(collector.data.equals(whole));
      if (pieces.length === 1) assert.equal(collector.data, pieces[0]);
    }),
  );
});

test('contents that end early have no other memory', () => {
  const body = new BodyCollector(1000);
  body.add(Buffer.from('abc'));

  assert.equal(body.data.toString(), 'abc');
});
