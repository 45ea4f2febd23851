import { globSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/**
 * With this line, which the compiler writes for private fields, a class accepts only instances of
 * the same declaration. Without it a connection of `gitaly-ts/testing` is one of `gitaly-client`.
 */
const PRIVATE_FIELDS = /^ *#private;\n/gm;
/** Where a field is in proto/; a third of the declarations of messages. */
const GENERATED_FROM = /(?:^ *\*\n)?^ *\* @generated from (?!file).*\n/gm;
/** Comments that repeat the name below them; a fifth of the declarations of messages. */
const DESCRIBES = /^\/\*\*\n \* Describes the (?:enum|file|message) .*\n(?: \* Use `.*\n)? \*\/\n/gm;
const EMPTY_COMMENT = /^ *\/\*\*\n *\*\/\n/gm;

/** Removes from the declarations below a folder what makes them nominal, and generated noise. */
export function mendDeclarations(folder: string): void {
  for (const file of globSync('**/*.d.ts', { cwd: folder })) {
    const path = join(folder, file);
    const text = readFileSync(path, 'utf8');
    writeFileSync(path, mended(text));
  }
}

export function mended(text: string): string {
  return text
    .replace(PRIVATE_FIELDS, '')
    .replace(GENERATED_FROM, '')
    .replace(EMPTY_COMMENT, '')
    .replace(DESCRIBES, '');
}
