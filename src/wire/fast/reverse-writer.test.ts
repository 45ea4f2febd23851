import assert from 'node:assert/strict';
import { test } from 'node:test';
import { create, toBinary } from '@bufbuild/protobuf';
import { fc } from '#testkit/fast-check';
import { GitCommitSchema } from '#wire/gen/shared_pb';
import { ReverseWriter } from './reverse-writer.ts';

const writer = new ReverseWriter();

test('its output equals that of the general encoder', () => {
  const text = fc.oneof(fc.string({ maxLength: 40 }), fc.constantFrom('', 'é', '𝄞'.repeat(50)));
  const bytes = fc.uint8Array({ maxLength: 300 });
  const seconds = fc.oneof(
    fc.bigInt(0n, 2n ** 63n - 1n),
    fc.constantFrom(0n, 127n, 128n, 2n ** 32n - 1n, 2n ** 32n, 2n ** 53n),
  );

  fc.assert(
    fc.property(text, bytes, bytes, seconds, fc.nat(), (id, subject, name, date, bodySize) => {
      const author = { name, date: { seconds: date } };
      const expected = toBinary(
        GitCommitSchema,
        create(GitCommitSchema, { id, subject, author, bodySize: BigInt(bodySize), encoding: id }),
      );

      writer.text(13, id);
      writer.number(7, bodySize);
      const end = writer.length;
      const endOfDate = writer.length;
      writer.number(1, date);
      writer.message(3, endOfDate);
      writer.bytes(1, name);
      writer.message(4, end);
      writer.bytes(2, subject);
      writer.text(1, id);

      assert.ok(writer.take().equals(expected));
    }),
  );
});

test('a message of any size is written, and the next one starts with an empty buffer', () => {
  for (const size of [60_000, 70_000, 5_000_000, 1]) {
    const body = Buffer.alloc(size, 'x');

    writer.bytes(3, body);
    writer.bytes(2, body);

    assert.ok(
      writer.take().equals(toBinary(GitCommitSchema, create(GitCommitSchema, { subject: body, body }))),
    );
  }
  assert.equal(writer.take().length, 0);
});

test('values of a repeated field are written as by the general encoder', () => {
  const hex = fc.string({ unit: fc.constantFrom(...'0123456789abcdef'), minLength: 40, maxLength: 40 });
  const other = fc.constantFrom('x', 'é'.repeat(40), 'é'.repeat(20), 'x'.repeat(128), 'x'.repeat(127));
  fc.assert(
    fc.property(fc.oneof(fc.array(hex), fc.array(fc.oneof(hex, other)), fc.array(other)), (parentIds) => {
      writer.text(13, 'behind');
      writer.texts(6, parentIds);
      writer.text(1, 'before');

      const message = create(GitCommitSchema, { id: 'before', parentIds, encoding: 'behind' });
      assert.ok(writer.take().equals(toBinary(GitCommitSchema, message)));
    }),
  );
});
