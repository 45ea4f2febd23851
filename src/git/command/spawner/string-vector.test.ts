import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cString, stringVector } from './string-vector.ts';

const BASE = 0x7f00_0000_1000n;

/** Reads an argument vector as C does: pointers up to a null pointer, each to bytes up to a NUL. */
function read(memory: Buffer): string[] {
  const words: string[] = [];
  for (let at = 0; ; at += 8) {
    const pointer = memory.readBigUInt64LE(at);
    if (pointer === 0n) return words;
    const start = Number(pointer - BASE);
    words.push(memory.toString('latin1', start, memory.indexOf(0, start)));
  }
}

for (const words of [[], ['git'], ['git', '', 'é', Buffer.from('a\xff', 'latin1')]]) {
  test(`a vector of ${words.length} words`, () => {
    const memory = stringVector(words, () => BASE);

    assert.deepEqual(
      read(memory),
      words.map((word) => Buffer.from(word).toString('latin1')),
    );
    const bytes = words.reduce((sum, word) => sum + Buffer.from(word).length + 1, 0);
    assert.equal(memory.length, (words.length + 1) * 8 + bytes);
    if (words.length > 0) assert.equal(memory.at(-1), 0);
  });
}

test('a word ends with NUL', () => {
  assert.deepEqual(cString('a'), Buffer.from('a\0'));
  assert.deepEqual(cString(Buffer.of(0xff)), Buffer.of(0xff, 0));
});
