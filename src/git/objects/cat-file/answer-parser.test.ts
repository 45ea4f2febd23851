import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fc } from '#testkit/fast-check';
import { AnswerParser, type CatFileAnswer } from './answer-parser.ts';

interface Written {
  readonly oid: string;
  /** `undefined` if the object is missing. */
  readonly data: Buffer | undefined;
}

const oid = fc.stringMatching(/^[0-9a-f]{40}$/);
const written: fc.Arbitrary<Written> = fc.record({
  oid,
  data: fc.option(
    fc.uint8Array({ maxLength: 60 }).map((bytes) => Buffer.from(bytes)),
    { nil: undefined },
  ),
});

function print(objects: readonly Written[], end: Buffer): Buffer {
  const parts = objects.flatMap(({ oid: id, data }) =>
    data === undefined
      ? [Buffer.from(`${id} missing`), end]
      : [Buffer.from(`${id} blob ${data.length}`), end, data, end],
  );
  return Buffer.concat(parts);
}

/** Feeds bytes in chunks of the given sizes, and the rest in one. */
function feed(parser: AnswerParser, bytes: Buffer, cuts: readonly number[]): CatFileAnswer[] {
  const answers: CatFileAnswer[] = [];
  let at = 0;
  for (const cut of [...cuts, bytes.length]) {
    if (at < bytes.length) answers.push(...parser.feed(bytes.subarray(at, at + cut)));
    at += cut;
  }
  return answers;
}

for (const delimiter of [0, 10]) {
  test(`objects are parsed with delimiter ${delimiter}, wherever the output is cut`, () => {
    const cuts = fc.array(fc.integer({ min: 1, max: 50 }), { maxLength: 40 });
    fc.assert(
      fc.property(fc.array(written, { maxLength: 8 }), cuts, (objects, sizes) => {
        const parser = new AnswerParser({ delimiter, contents: () => true });

        const answers = feed(parser, print(objects, Buffer.of(delimiter)), sizes);

        const found: Written[] = [];
        for (const answer of answers) {
          if (answer.kind === 'header')
            found.push({ oid: answer.info?.oid ?? '', data: answer.info && Buffer.alloc(0) });
          else {
            assert.equal(answer.kind, 'data');
            const last = found.pop();
            assert.ok(last?.data !== undefined && answer.bytes.length > 0);
            found.push({ oid: last.oid, data: Buffer.concat([last.data, answer.bytes]) });
          }
        }
        assert.deepEqual(
          found,
          objects.map(({ oid: id, data }) => ({ oid: data === undefined ? '' : id, data })),
        );
        assert.equal(parser.isAtRest, true);
      }),
    );
  });
}

test('output that ends early is not at rest', () => {
  const whole = print([{ oid: 'a'.repeat(40), data: Buffer.from('content') }], Buffer.from('\n'));
  for (let length = 1; length < whole.length; length++) {
    const parser = new AnswerParser({ delimiter: 10, contents: () => true });
    feed(parser, whole.subarray(0, length), []);
    assert.equal(parser.isAtRest, false, `${length} bytes`);
  }
});

test('garbage is an error or a name that is missing, never a hang', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      const parser = new AnswerParser({ delimiter: 10, contents: () => true });
      try {
        feed(parser, Buffer.from(bytes), []);
      } catch (error) {
        assert.match(String(error), /invalid info line/);
      }
    }),
  );
  const endless = new AnswerParser({ delimiter: 10, contents: () => true });
  assert.throws(() => {
    for (let chunk = 0; chunk < 100; chunk++) feed(endless, Buffer.alloc(10_000, 'x'), []);
  }, /invalid info line/);
});
