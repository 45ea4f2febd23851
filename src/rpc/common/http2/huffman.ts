/**
 * Lengths of the codes of all bytes (RFC 7541, appendix B), each as a digit to the base 36. The
 * code is canonical: codes of one length are in the order of their bytes.
 */
const LENGTHS = [
  'dnsssssssoussussssssssusssssssss6aacd68baa8b8666555666666678f6ca',
  'd67777777777777777777777878djde6f56565666577666567655677777fbeds',
  'kmkkmmmnmnnnnnonoomnonnnnlmnmnnomlkmmnnlnmmolmnnllmlnmnnkmmmnmmn',
  'qqkjmnmpqqqrrqopjlqrrqrollqqsrrrkoklmllnmmppooqnqrqqrrrrrsrrrrrq',
].join('');
const MAX_LENGTH = 30;

/** The codes of one length: the first one, and the bytes of all. */
interface CodesOfLength {
  readonly first: number;
  readonly bytes: readonly number[];
}

const CODES: readonly CodesOfLength[] = codes();

function codes(): CodesOfLength[] {
  const result: CodesOfLength[] = [{ first: 0, bytes: [] }];
  let next = 0;
  for (let length = 1; length <= MAX_LENGTH; length++) {
    const digit = length.toString(36);
    const bytes = [...LENGTHS].flatMap((each, byte) => (each === digit ? [byte] : []));
    next *= 2;
    result.push({ first: next, bytes });
    next += bytes.length;
  }
  return result;
}

const NONE: CodesOfLength = { first: 0, bytes: [] };
/** The padding at the end consists of ones and is shorter than a byte. */
const MAX_PADDING_BITS = 7;

/**
 * Decodes a string in Huffman's code, a character for each byte.
 *
 * @returns undefined for wrong padding, and for the code of the end of a string.
 */
export function decodeHuffman(encoded: Uint8Array): string | undefined {
  const bytes: number[] = [];
  let [code, length] = [0, 0];
  for (const byte of encoded) {
    for (let bit = 7; bit >= 0; bit--) {
      code = code * 2 + ((byte >> bit) & 1);
      const { first, bytes: ofLength } = CODES[++length] ?? NONE;
      const found = ofLength[code - first];
      if (found !== undefined) {
        bytes.push(found);
        [code, length] = [0, 0];
      } else if (length >= MAX_LENGTH) return undefined;
    }
  }
  const isPadded = length <= MAX_PADDING_BITS && code === 2 ** length - 1;
  return isPadded ? Buffer.from(bytes).toString('latin1') : undefined;
}
