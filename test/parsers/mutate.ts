import type { Random } from '#testkit/repositories/random-history';

/** Pieces that formats give a meaning to, and numbers at the edges of their types. */
const TOKENS = [
  ...['', '\0', '\n', '\r\n', ' ', '\t', '"', '\\', '/', '..', '-', '--', '=', ':', '<', '>', '*', '[', '{'],
  ...['0', '-1', '65536', '4294967295', '9007199254740993', '1e999', 'NaN', '0000', '0001', 'ffff', '~~~~'],
  ...['__proto__', 'constructor', '\x7f\x80', '\u{1f600}', '\ufeff', 'refs/heads/', '-----BEGIN '],
].map((token) => Buffer.from(token));

const MAX_BYTES = 64 * 1024;
const MAX_CHANGES = 4;

/** Returns a sample with a few random changes; `others` are samples to take pieces from. */
export function mutate(sample: Buffer, others: readonly Buffer[], random: Random): Buffer {
  let bytes: Buffer = Buffer.from(sample);
  for (let change = 0; change <= random() * MAX_CHANGES; change++) bytes = changed(bytes, others, random);
  return bytes.subarray(0, MAX_BYTES);
}

function changed(bytes: Buffer, others: readonly Buffer[], random: Random): Buffer {
  const place = (): number => Math.floor(random() * (bytes.length + 1));
  const pick = (items: readonly Buffer[]): Buffer =>
    items[Math.floor(random() * items.length)] ?? Buffer.alloc(0);
  const [from = 0, to = 0] = [place(), place()].sort((a, b) => a - b);
  const replaced = (piece: Uint8Array): Buffer =>
    Buffer.concat([bytes.subarray(0, from), piece, bytes.subarray(to)]);
  switch (Math.floor(random() * 7)) {
    case 0: // flips a bit
      if (from < bytes.length) bytes.writeUInt8((bytes[from] ?? 0) ^ (1 << Math.floor(random() * 8)), from);
      return bytes;
    case 1: // ends early
      return bytes.subarray(0, from);
    case 2: // loses a piece
      return replaced(Buffer.alloc(0));
    case 3: // repeats a piece
      return replaced(Buffer.concat([bytes.subarray(from, to), bytes.subarray(from, to)]));
    case 4: {
      const token = pick(TOKENS);
      return Buffer.concat([bytes.subarray(0, from), token, bytes.subarray(from)]);
    }
    case 5: // continues as another sample
      return Buffer.concat([bytes.subarray(0, from), pick(others).subarray(from)]);
    default: // random bytes
      return replaced(
        Uint8Array.from({ length: Math.floor(random() * 8) }, () => Math.floor(random() * 256)),
      );
  }
}
