/** Pieces that are repeated: what expressions and loops of parsers may go back over. */
const PIECES = [
  ...['\n', '\r', '\r\n', ' ', '\t', '\0', '\u2028', '"', "'", '\\', '#', '/', '.', ',', ':', ';', '=', '@'],
  ...[
    '<',
    '>',
    '(',
    ')',
    '[',
    '{',
    '*',
    '?',
    '%',
    '-',
    '_',
    '+',
    '|',
    '&',
    '^',
    '~',
    '0',
    'a',
    'é',
    '\u00ff',
  ],
  ...[
    'a ',
    'a=',
    'a.',
    '-\n',
    '-\r',
    '<>',
    '()',
    '[]',
    '""',
    '\\"',
    '://',
    '../',
    '%4',
    'a@',
    '0000',
    '0001',
  ],
  ...[' <', '> ', 'a\t', '\n\t', '\n ', '\n\n', '\n\r', '"a" ', '0 ', 'refs/', 'parent ', 'a: b\n', '[a]\n'],
];

/** A text that grows: a piece is repeated in the middle of another text. */
export interface HostileShape {
  readonly piece: string;
  readonly build: (size: number) => Buffer;
}

/** Returns shapes without a text around them, and ones inside of a sample, at the places given. */
export function hostileShapes(sample: Buffer, places: readonly number[]): HostileShape[] {
  return PIECES.flatMap((piece) => {
    const repeated = (size: number): Buffer => Buffer.alloc(size, piece);
    const inside = places.map((at) => ({
      piece: `${piece} at ${at}`,
      build: (size: number) => Buffer.concat([sample.subarray(0, at), repeated(size), sample.subarray(at)]),
    }));
    return [{ piece, build: repeated }, ...inside];
  });
}

/** A long path, and after it parts that are removed again. */
const UP_AND_DOWN: HostileShape = {
  piece: 'a/, then b/../',
  build: (size) => Buffer.concat([Buffer.alloc(size / 2, 'a/'), Buffer.alloc(size / 2, 'b/../')]),
};

/**
 * Returns shapes for one field: alone, and before, between and after other text. Expressions such
 * as `\s+$` are slow only with text behind.
 */
export function fieldShapes(): HostileShape[] {
  return [...hostileShapes(Buffer.from('a\n'), [0, 1, 2]), UP_AND_DOWN];
}
