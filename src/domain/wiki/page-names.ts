import { isUtf8 } from 'node:buffer';

/**
 * File extensions of pages by format, in the order in which they are tried. As in gollum, the
 * patterns are not anchored. @see gollum-lib 4.2: markups.rb
 */
const FORMATS: readonly (readonly [format: string, extension: RegExp])[] = [
  ['markdown', /md|mkdn?|mdown|markdown/],
  ['textile', /textile/],
  ['rdoc', /rdoc/],
  ['org', /org/],
  ['creole', /creole/],
  ['rest', /re?st/],
  ['asciidoc', /asciidoc/],
  ['mediawiki', /wiki/],
  ['pod', /pod/],
  ['txt', /txt/],
];
/** ASCII only, as names are compared as bytes. */
const BLANKS = /[ \t\r\n\f\v]/g;

/** The names of a wiki page, which all come from the path of its file. */
export interface PageNames {
  readonly path: Buffer;
  readonly format: string;
  /** The path without extension. */
  readonly stem: Buffer;
  /** The title: the file's name without extension, with blanks instead of dashes. */
  readonly name: Buffer;
  /** The path in URLs: without extension, with dashes instead of blanks and angle brackets. */
  readonly urlPath: Buffer;
  /** A part of other pages, such as a side bar; its name begins with an underscore. */
  readonly isSubPage: boolean;
}

/** Returns the names of the page in a file; `undefined` if the file is no page. */
export function pageNamesOf(path: Buffer): PageNames | undefined {
  // One character per byte: the patterns are ASCII.
  const text = path.toString('latin1');
  const [, directory = '', base, extension] = /^(.*\/)?([^/\n]+)\.([a-zA-Z]\w*)$/s.exec(text) ?? [];
  const format = FORMATS.find(([, pattern]) => pattern.test(extension ?? ''))?.[0];
  if (base === undefined || format === undefined) return undefined;
  const name = base.replaceAll('-', ' ');
  const [stem, urlPath] = [directory + base, directory + dashed(name)];
  return {
    path,
    format,
    stem: Buffer.from(stem, 'latin1'),
    name: Buffer.from(name, 'latin1'),
    urlPath: Buffer.from(urlPath, 'latin1'),
    isSubPage: base.startsWith('_'),
  };
}

/**
 * Returns a function that reports whether a page has a title. Blanks, dashes and angle brackets are
 * equal there, and so are upper and lower case.
 *
 * @param directory that the title is relative to; empty for the root.
 */
export function titleMatcher(title: Uint8Array, directory: Uint8Array): (page: PageNames) => boolean {
  const full = [directory, title].map((part) => Buffer.from(part).toString('latin1')).join('/');
  const wanted = folded(dashed(full.split('/').filter(isPathPart).join('/')));
  // For gollum, a blank in the name of a file is a dash or an underscore of the title.
  return ({ stem }) =>
    ['-', '_'].some((blank) => folded(dashed(stem.toString('latin1'), blank)).equals(wanted));
}

/** Replaces blanks and angle brackets by dashes. @param blank replaces blanks. */
export function dashed(text: string, blank = '-'): string {
  return text.replace(BLANKS, blank).replace(/[<>+]/g, '-');
}

/** Converts a text (a character per byte) to lower case: of all scripts if it is UTF-8. */
export function folded(text: string): Buffer {
  const bytes = Buffer.from(text, 'latin1');
  if (isUtf8(bytes)) return Buffer.from(bytes.toString().toLowerCase());
  return Buffer.from(
    text.replace(/[A-Z]/g, (letter) => letter.toLowerCase()),
    'latin1',
  );
}

/** Reports whether a part of a path is more than a repeated slash or the directory itself. */
export function isPathPart(part: string): boolean {
  return part !== '' && part !== '.';
}
