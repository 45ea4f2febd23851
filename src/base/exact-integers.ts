/** Options of a reviver that the type definitions lack: the text of a number. */
interface ReviverContext {
  readonly source?: string;
}

const INTEGER = /^-?\d+$/;

/**
 * Parses JSON in which integers may be larger than a number can hold exactly, such as ids of 64
 * bits: these become bigints.
 *
 * @throws {SyntaxError}
 */
export function parseWithExactIntegers(text: string): unknown {
  // The type definitions lack the third parameter, which Node has since version 21.
  return JSON.parse(text, exact as (key: string, value: unknown) => unknown);
}

function exact(_key: string, value: unknown, { source = '' }: ReviverContext = {}): unknown {
  return typeof value === 'number' && !Number.isSafeInteger(value) && INTEGER.test(source)
    ? BigInt(source)
    : value;
}
