/** Not in ASCII, with a backslash before it, if there is one. */
const WIDE = /\\?[\u0080-\uffff]/g;
/** Its text is that of the file, with escapes as they are. */
const RAW_TEMPLATE = /String\.raw`[^`]*[\u0080-\uffff]/;

/**
 * Replaces the characters of code without comments that are not in ASCII by escapes, which mean the
 * same in strings, templates and regular expressions. Otherwise every process keeps the text of a
 * module in two bytes for each character: V8 if one of them is not in Latin-1, and Node for a file
 * above a mebibyte if one of them is not in ASCII.
 *
 * @throws {Error} where an escape would have another meaning.
 */
export function narrowCharacters(code: string): string {
  if (RAW_TEMPLATE.test(code)) throw new Error('String.raw with a character that is not in ASCII');
  return code.replace(WIDE, (found) => {
    if (found.length > 1) throw new Error(`a backslash before a character that is not in ASCII: ${found}`);
    return `\\u${found.charCodeAt(0).toString(16).padStart(4, '0')}`;
  });
}
