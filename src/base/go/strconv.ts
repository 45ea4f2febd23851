import { quote } from './quote.ts';

const BOOLEANS: Readonly<Record<string, boolean>> = {
  ...Object.fromEntries(['1', 't', 'T', 'true', 'TRUE', 'True'].map((word) => [word, true])),
  ...Object.fromEntries(['0', 'f', 'F', 'false', 'FALSE', 'False'].map((word) => [word, false])),
};

/** Reads a truth value as `strconv.ParseBool` does; `undefined` for any other text. */
export function parseBool(text: string): boolean | undefined {
  return Object.hasOwn(BOOLEANS, text) ? BOOLEANS[text] : undefined;
}

/** Returns the message of `strconv.ParseInt` about a text that it does not read. */
export function parseIntProblem(
  text: string | Uint8Array,
  reason: 'invalid syntax' | 'value out of range',
): string {
  return `strconv.ParseInt: parsing ${quote(text)}: ${reason}`;
}
