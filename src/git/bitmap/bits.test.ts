import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fc } from '#testkit/fast-check';
import { FallBackToGit } from '../command/in-process.ts';
import { BitRanks, ones } from './bit-ranks.ts';
import { addBits, countBits, firstGap, hasBit, nextBit, removeBits, setBit } from './bitmap-file.ts';
import { ewahAt, invert } from './ewah.ts';

const WORDS = 6;
const BITS = 32 * WORDS;

/** Words with long runs, as bitmaps have them. */
const words = fc.array(fc.oneof(fc.constantFrom(0, 0xffffffff), fc.nat(0xffffffff)), {
  minLength: WORDS,
  maxLength: WORDS,
});

/** Returns the numbers of the bits that are set. */
function members(bits: Uint32Array): number[] {
  return Array.from({ length: 32 * bits.length }, (_, bit) => bit).filter((bit) => hasBit(bits, bit));
}

test('a bit is in its word, the lowest first', () => {
  const bits = new Uint32Array(2);
  for (const bit of [0, 31, 32, 63]) setBit(bits, bit);
  setBit(bits, 31);

  assert.deepEqual([...bits], [0x80000001, 0x80000001]);
  assert.deepEqual(members(bits), [0, 31, 32, 63]);
});

test('the next bit and the next gap are the first ones from a bit on', () => {
  fc.assert(
    fc.property(words, fc.nat(BITS), fc.nat(BITS), (list, from, end) => {
      const bits = Uint32Array.from(list);
      const set = new Set(members(bits));
      const first = (isSet: boolean): number => {
        for (let bit = from; bit < end; bit++) if (set.has(bit) === isSet) return bit;
        return Math.min(Math.max(from, end), end);
      };
      assert.equal(nextBit(bits, from, end), first(true));
      assert.equal(firstGap(bits, from, end), first(false));
    }),
  );
});

test('bits are added, removed, counted and numbered', () => {
  fc.assert(
    fc.property(words, words, fc.nat(BITS - 1), fc.nat(BITS - 1), (list, others, one, other) => {
      const [bits, added] = [Uint32Array.from(list), Uint32Array.from(others)];
      const [before, more] = [members(bits), new Set(members(added))];
      assert.equal(countBits(bits), before.length);
      assert.equal(ones(list[0] ?? 0), before.filter((bit) => bit < 32).length);

      const [first, end] = [Math.min(one, other), Math.max(one, other)];
      const ranks = new BitRanks(bits, first, end);
      const start = first - (first % 32);
      for (let bit = first; bit < end; bit++) {
        const expected = before.filter((each) => each >= start && each < bit).length;
        assert.equal(ranks.rankOf(bit), expected);
      }
      const part = new Uint32Array(WORDS);
      for (const bit of before) if (bit >= first && bit < end) setBit(part, bit);
      assert.equal(new BitRanks(part, first, end).count, countBits(part));

      const rest = Uint32Array.from(bits);
      removeBits(rest, added);
      assert.deepEqual(
        members(rest),
        before.filter((bit) => !more.has(bit)),
      );
      addBits(bits, added);
      assert.deepEqual(new Set(members(bits)), new Set([...before, ...more]));
    }),
  );
});

/** A marker of the format: a repeated bit, the number of its words, and the words behind it. */
interface Piece {
  readonly bit: 0 | 1;
  readonly repeated: number;
  readonly stored: readonly bigint[];
}

/** Writes a compressed bitmap as git's description of the format says. */
function encoded(pieces: readonly Piece[]): Buffer {
  const list = pieces.flatMap(({ bit, repeated, stored }) => [
    BigInt(bit) | (BigInt(repeated) << 1n) | (BigInt(stored.length) << 33n),
    ...stored,
  ]);
  const bytes = Buffer.alloc(8 + 8 * list.length + 4);
  bytes.writeUInt32BE(64 * list.length, 0);
  bytes.writeUInt32BE(list.length, 4);
  for (const [index, word] of list.entries()) bytes.writeBigUInt64BE(word, 8 + 8 * index);
  return bytes;
}

const pieces = fc.array(
  fc.record({
    bit: fc.constantFrom<0 | 1>(0, 1),
    repeated: fc.nat(2),
    stored: fc.array(fc.bigInt(0n, 2n ** 64n - 1n), { maxLength: 2 }),
  }),
  { maxLength: 3 },
);

test('a compressed bitmap inverts the bits that it describes', () => {
  fc.assert(
    fc.property(pieces, fc.nat(20), (list, offset) => {
      const described = list.flatMap(({ bit, repeated, stored }) => [
        ...Array.from({ length: repeated }, () => (bit === 1 ? 2n ** 64n - 1n : 0n)),
        ...stored,
      ]);
      const bytes = Buffer.concat([Buffer.alloc(offset, 7), encoded(list), Buffer.alloc(3, 7)]);
      const bitmap = ewahAt(bytes, offset);
      assert.equal(bitmap.next, bytes.length - 3);

      const bits = new Uint32Array(2 * described.length + 2).fill(0x0f);
      invert(bits, bytes, bitmap);

      const expected = described.flatMap((word) => [Number(word & 0xffffffffn), Number(word >> 32n)]);
      assert.deepEqual(
        [...bits],
        [...expected, 0, 0].map((word) => (word ^ 0x0f) >>> 0),
      );
    }),
  );
});

test('a compressed bitmap that is cut off, or longer than the bits, is damaged', () => {
  const stored = encoded([{ bit: 0, repeated: 1, stored: [1n] }]);
  for (let length = 0; length < stored.length; length++)
    assert.throws(() => ewahAt(stored.subarray(0, length), 0), FallBackToGit);
  const longer: readonly Piece[] = [
    { bit: 1, repeated: 2, stored: [] },
    { bit: 0, repeated: 1, stored: [1n] },
    { bit: 0, repeated: 0, stored: [1n, 1n] },
  ];
  for (const piece of longer) {
    const bytes = encoded([piece]);
    const into = (count: number) => invert(new Uint32Array(count), bytes, ewahAt(bytes, 0));
    assert.throws(() => into(2), FallBackToGit);
    into(4);
  }
  const huge = encoded([{ bit: 0, repeated: 2 ** 31, stored: [1n] }]);
  assert.throws(() => invert(new Uint32Array(8), huge, ewahAt(huge, 0)), FallBackToGit);
  // The marker has more words than follow.
  stored.writeBigUInt64BE((2n << 33n) | (1n << 1n), 8);
  assert.throws(() => invert(new Uint32Array(8), stored, ewahAt(stored, 0)), FallBackToGit);
});
