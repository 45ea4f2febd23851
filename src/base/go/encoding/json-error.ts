import { JsonProblem, JsonScanner } from './json-scanner.ts';

/** Go's error for a document that ends early. */
const EARLY_END = 'unexpected end of JSON input';

/**
 * Describes the error in `text` as a JSON document, with the text of Go's decoder. It reaches
 * clients (a hook's refusal quotes it), so it must stay the same; those of `JSON.parse` differ
 * between engines.
 *
 * @param truncated selects the text for an early end: the decoder of a stream reports `unexpected
 *   EOF` (`EOF` for empty input), the decoder of a whole document `unexpected end of JSON input`.
 * @returns `undefined` when the text is a JSON value. More text may follow it in a stream, but not
 *   in a document.
 */
export function describeJsonError(text: string, truncated: 'stream' | 'document'): string | undefined {
  const scanner = new JsonScanner(text);
  try {
    while (scanner.next() !== undefined);
    if (truncated === 'document') scanner.requireEnd();
    return undefined;
  } catch (error) {
    const inDocument = documentError(error);
    if (truncated === 'document' || inDocument !== EARLY_END) return inDocument;
    return text.trim() === '' ? 'EOF' : 'unexpected EOF';
  }
}

/** Returns Go's text for an error of {@link JsonScanner} in a document. @throws all other errors. */
export function documentError(error: unknown): string {
  if (!(error instanceof JsonProblem)) throw error;
  return error.message === '' ? EARLY_END : error.message;
}
