import { pathInTree } from '../commit-files/paths.ts';
import { folded, isPathPart } from './page-names.ts';

export interface PageFile {
  /** Empty for the root. */
  readonly directory: Buffer;
  readonly fileName: Buffer;
  readonly path: Buffer;
}

/**
 * Returns the file for a page; `undefined` if the title or the format cannot be in a path.
 *
 * @param title of the page, with its directories; blanks become dashes.
 * @param format also the extension, but for `markdown`.
 */
export function fileForPage(title: Uint8Array, format: string): PageFile | undefined {
  const text = Buffer.from(title)
    .toString('latin1')
    .replace(/[ \t\r\n\f\v]/g, '-');
  const stem = text.split('/').filter(isPathPart).join('/');
  if (stem === '' || text.includes('\0') || !/^[a-zA-Z]\w*$/.test(format)) return undefined;
  if (pathInTree(Buffer.from(stem, 'latin1'))?.toString('latin1') !== stem) return undefined;
  return pageFileOf(Buffer.from(`${stem}.${format === 'markdown' ? 'md' : format}`, 'latin1'));
}

export function pageFileOf(path: Buffer): PageFile {
  const slash = path.lastIndexOf('/');
  return { path, directory: path.subarray(0, Math.max(slash, 0)), fileName: path.subarray(slash + 1) };
}

/** Reports whether two names of files differ only in their case and extension. */
export function areSamePage(one: Uint8Array, other: Uint8Array): boolean {
  const [a, b] = [one, other].map((name) =>
    folded(
      Buffer.from(name)
        .toString('latin1')
        .replace(/\.\w+$/, ''),
    ),
  );
  return a !== undefined && b !== undefined && a.equals(b);
}

/** Another file has the name of the page already. The message is gollum's. */
export class DuplicatePageError extends Error {
  override readonly name = 'DuplicatePageError';
  /** The message as bytes: names need not be text. */
  readonly text: Buffer;

  constructor({ directory, fileName }: PageFile, existing: Uint8Array) {
    const place = Buffer.concat([directory.length === 0 ? Buffer.from('/') : directory, Buffer.from('/')]);
    const parts = [Buffer.from('Cannot write '), place, fileName, Buffer.from(', found '), place, existing];
    const text = Buffer.concat([...parts, Buffer.from('.')]);
    super(text.toString());
    this.text = text;
  }
}
