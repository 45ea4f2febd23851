import type { Arg } from './spawner.ts';

/** Returns a NUL-terminated copy of a word. */
export function cString(word: Arg): Buffer {
  const bytes = typeof word === 'string' ? Buffer.from(word) : word;
  const copy = Buffer.allocUnsafeSlow(bytes.length + 1);
  copy.set(bytes);
  copy[bytes.length] = 0;
  return copy;
}

/**
 * Arranges words as a C argument vector: pointers, a null pointer, and the words, all in one
 * buffer.
 *
 * @param addressOf returns the address of the buffer, which must not move while the vector is used.
 */
export function stringVector(words: readonly Arg[], addressOf: (memory: Buffer) => bigint): Buffer {
  const encoded = words.map((word) => (typeof word === 'string' ? Buffer.from(word) : word));
  const table = (words.length + 1) * 8;
  const size = encoded.reduce((sum, word) => sum + word.length + 1, table);
  const memory = Buffer.allocUnsafeSlow(size);
  const base = addressOf(memory);
  let at = table;
  for (const [index, word] of encoded.entries()) {
    memory.writeBigUInt64LE(base + BigInt(at), index * 8);
    memory.set(word, at);
    memory[at + word.length] = 0;
    at += word.length + 1;
  }
  memory.writeBigUInt64LE(0n, table - 8);
  return memory;
}
