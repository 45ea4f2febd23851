import { randomBytes } from 'node:crypto';

/** Names of references. git refuses `a` if there is `a/b`, also if one of them is removed meanwhile. */
export class ReferenceNames {
  readonly #names = new Set<string>();
  readonly #folders = new Set<string>();

  add(name: Buffer): void {
    const text = name.toString('latin1');
    this.#names.add(text);
    for (const folder of foldersOf(text)) this.#folders.add(folder);
  }

  /** Reports whether git refuses a reference because of these. */
  conflictWith(name: Buffer): boolean {
    const text = name.toString('latin1');
    return this.#folders.has(text) || foldersOf(text).some((folder) => this.#names.has(folder));
  }
}

function* foldersOf(name: string): Generator<string, void> {
  for (let end = name.indexOf('/'); end !== -1; end = name.indexOf('/', end + 1)) yield name.slice(0, end);
}

/** Returns a function that returns names that no reference has. */
export function unusedNames(): () => Buffer {
  const folder = `refs/restore-${randomBytes(8).toString('hex')}`;
  let count = 0;
  return () => Buffer.from(`${folder}/${++count}`);
}
