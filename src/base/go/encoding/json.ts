/** Characters that are safe in JSON and not in HTML around it. */
const UNSAFE_IN_HTML = /[<>&\u2028\u2029]/g;

/** Characters that JSON, or HTML around it, needs escaped, with lone surrogates. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
const NEEDS_ESCAPE = /["\\<>&\x00-\x1f\u2028\u2029\ud800-\udfff]/;

/**
 * Returns a value as JSON as Go's encoder writes it: `<`, `>`, `&` and the line separators U+2028
 * and U+2029 are escapes, so that it can stand in HTML.
 *
 * @param indent spaces for each level; on one line without.
 */
export function toJson(value: object, indent?: number): string {
  return escapeHtml(JSON.stringify(value, undefined, indent));
}

/** Returns a text as JSON, with the escapes of {@link toJson}. */
export function jsonText(text: string): string {
  return NEEDS_ESCAPE.test(text) ? escapeHtml(JSON.stringify(text)) : `"${text}"`;
}

/** Puts the escapes of {@link toJson} into JSON. */
export function escapeHtml(json: string): string {
  return json.replace(
    UNSAFE_IN_HTML,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

/** Returns what Go's decoder calls a decoded value: `cannot unmarshal array into Go …`. */
export function jsonKind(value: unknown): string {
  if (Array.isArray(value)) return 'array';
  if (typeof value === 'bigint') return 'number';
  return typeof value === 'boolean' ? 'bool' : typeof value;
}
