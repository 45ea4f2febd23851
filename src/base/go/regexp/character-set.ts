import type { CharacterTest } from './syntax-tree.ts';

const ASCII = 128;

/** Parts of a JavaScript character class for Perl's and POSIX's classes of ASCII characters. */
export const PERL_CLASSES: Readonly<Record<string, string>> = {
  d: '0-9',
  s: String.raw`\t\n\f\r `,
  w: '0-9A-Za-z_',
};

export const POSIX_CLASSES: Readonly<Record<string, string>> = {
  alnum: '0-9A-Za-z',
  alpha: 'A-Za-z',
  ascii: String.raw`\x00-\x7f`,
  blank: String.raw`\t `,
  cntrl: String.raw`\x00-\x1f\x7f`,
  digit: '0-9',
  graph: '!-~',
  lower: 'a-z',
  print: ' -~',
  punct: String.raw`!-\/:-@\[-${'`'}\{-~`,
  space: String.raw`\t\n\v\f\r `,
  upper: 'A-Z',
  word: '0-9A-Za-z_',
  xdigit: '0-9A-Fa-f',
};

/** A set of code points that is being collected. */
export class CharacterSet {
  readonly #tests: CharacterTest[] = [];
  readonly #ignoreCase: boolean;

  constructor({ ignoreCase }: { readonly ignoreCase: boolean }) {
    this.#ignoreCase = ignoreCase;
  }

  addRange(low: number, high: number): void {
    this.#add(`${escaped(low)}-${escaped(high)}`, this.#ignoreCase);
  }

  /**
   * Adds a class of ASCII characters. @param inner content of a JavaScript character class.
   */
  addClass(inner: string, { isNegated }: { readonly isNegated: boolean }): void {
    this.#add(inner, false, isNegated);
  }

  /**
   * Adds a general category or a script of Unicode.
   *
   * @returns false if there is none of that name.
   */
  addUnicode(name: string, { isNegated }: { readonly isNegated: boolean }): boolean {
    const inner = unicodeClass(name);
    if (inner === undefined) return false;
    this.#add(inner, this.#ignoreCase, isNegated);
    return true;
  }

  test(isNegated = false): CharacterTest {
    const tests = [...this.#tests];
    const known = new Int8Array(ASCII).fill(-1);
    const ask = (codePoint: number): boolean => tests.some((test) => test(codePoint)) !== isNegated;
    return (codePoint) => {
      if (codePoint >= ASCII) return ask(codePoint);
      if (known[codePoint] === -1) known[codePoint] = ask(codePoint) ? 1 : 0;
      return known[codePoint] === 1;
    };
  }

  #add(inner: string, ignoreCase: boolean, isNegated = false): void {
    // One character is compared with one class, so there is nothing to try twice.
    const pattern = new RegExp(`^[${inner}]$`, ignoreCase ? 'iu' : 'u');
    this.#tests.push((codePoint) => pattern.test(String.fromCodePoint(codePoint)) !== isNegated);
  }
}

/** Returns the test for one character. */
export function characterTest(codePoint: number, options: { readonly ignoreCase: boolean }): CharacterTest {
  if (!options.ignoreCase) return (other) => other === codePoint;
  const set = new CharacterSet(options);
  set.addRange(codePoint, codePoint);
  return set.test();
}

function escaped(codePoint: number): string {
  return `\\u{${codePoint.toString(16)}}`;
}

/** Go knows the short names of categories and the long names of scripts. */
function unicodeClass(name: string): string | undefined {
  if (name === 'Any') return String.raw`\u{0}-\u{10ffff}`;
  if (!/^[A-Z][A-Za-z_]*$/.test(name)) return undefined;
  const inner = name.length <= 2 ? `\\p{${name}}` : `\\p{Script=${name}}`;
  try {
    new RegExp(`[${inner}]`, 'u');
    return inner;
  } catch {
    return undefined; // JavaScript knows no class of that name
  }
}
