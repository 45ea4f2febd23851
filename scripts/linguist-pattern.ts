/**
 * Translates the regular expressions of linguist's data to JavaScript. They match what Go's
 * `regexp` matches, in the dialect of go-enry (which Gitaly uses): `^` and `$` at line feeds only,
 * ASCII classes, and `(?i)` up to the end of its group.
 */

/** Syntax that Go lacks; go-enry omits such patterns, and so does this script. */
const NOT_IN_GO = ['(?<', '(?=', '(?!', '(?>', String.raw`\1`, '*+'];

const OUTSIDE: Readonly<Record<string, string>> = {
  A: '(?<![^])',
  z: '(?![^])',
  s: String.raw`[\t\n\f\r ]`,
  S: String.raw`[^\t\n\f\r ]`,
};
const FLAGS = /^\(\?([a-z]*)(?:-([a-z]+))?([:)])/;

/**
 * An open group: the meaning of `^` and `$` in it, and the number of its flag groups that must be
 * closed with it.
 */
interface Group {
  multiline: boolean;
  /** Flags that were switched on in it; each is a separate group in JavaScript. */
  readonly flags: string[];
}

/**
 * Returns the source of a JavaScript regular expression without flags; `undefined` if Go cannot
 * compile the pattern.
 */
export function toJavaScript(pattern: string, options: { readonly multiline: boolean }): string | undefined {
  if (NOT_IN_GO.some((syntax) => pattern.includes(syntax))) return undefined;
  let out = '';
  let group: Group = { multiline: options.multiline, flags: [] };
  const outer: Group[] = [];
  for (let at = 0; at < pattern.length; at++) {
    const rest = pattern.slice(at);
    const character = pattern[at] ?? '';
    const flags = FLAGS.exec(rest);
    if (flags !== null) {
      const [all, on = '', off = '', end] = flags;
      at += all.length - 1;
      if (end === ':') {
        outer.push(group);
        group = { multiline: group.multiline, flags: [] };
      }
      if (on.includes('m')) group.multiline = true;
      if (off.includes('m')) group.multiline = false;
      const ignoreCase = on.includes('i');
      if (end === ':') out += ignoreCase ? '(?i:' : '(?:';
      else if (ignoreCase) {
        group.flags.push('i');
        out += '(?i:';
      }
    } else if (character === '\\') {
      const escaped = pattern[++at] ?? '';
      out += OUTSIDE[escaped] ?? `\\${escaped}`;
    } else if (character === '[') {
      const length = classLength(rest);
      out += rest.slice(0, length).replace(/\\s/g, String.raw`\t\n\f\r `);
      at += length - 1;
    } else if (character === '(') {
      outer.push(group);
      group = { multiline: group.multiline, flags: [] };
      out += '(';
    } else if (character === ')') {
      out += ')'.repeat(group.flags.length + 1);
      group = outer.pop() ?? { multiline: options.multiline, flags: [] };
    } else if (character === '|') {
      out += `${')'.repeat(group.flags.length)}|${group.flags.map((each) => `(?${each}:`).join('')}`;
    } else if (character === '^') out += group.multiline ? String.raw`(?<![^\n])` : '(?<![^])';
    else if (character === '$') out += group.multiline ? String.raw`(?![^\n])` : '(?![^])';
    else if (character === '.') out += String.raw`[^\n]`;
    else out += character;
  }
  out += ')'.repeat(group.flags.length);
  // Syntax that JavaScript does not support fails here, not at run time.
  new RegExp(out);
  return out;
}

/**
 * Returns the length of the class at the beginning of a text. A bracket right at its start is one
 * of its characters.
 */
function classLength(text: string): number {
  let at = text[1] === '^' ? 2 : 1;
  if (text[at] === ']') at++;
  for (; at < text.length && text[at] !== ']'; at++) if (text[at] === '\\') at++;
  return at + 1;
}
