/** Reads the imports of every source file below `src`. It parses only import lines. */
import { readdirSync } from 'node:fs';
import { join, posix } from 'node:path';
import type { SourceTree } from './source-tree.ts';

export interface Import {
  /** Path of the importing file below `src`. */
  readonly file: string;
  /** The text between the quotes. */
  readonly name: string;
  /** True for `import type`. */
  readonly isType: boolean;
}

export interface ImportGraph {
  readonly files: readonly string[];
  readonly imports: readonly Import[];
  /** Number of existing source files, counted in another way than `files`. */
  readonly existing: number;
}

/**
 * Matches `import … from 'x'`, `export … from 'x'`, `import 'x'` at the start of a line, and
 * `import('x')` anywhere.
 */
const IMPORT =
  /^(?:import|export)\s+(?<type>type\s)?(?:[^'";]*?\sfrom\s+)?['"](?<name>[^'"]+)['"]|\bimport\(\s*['"](?<dynamic>[^'"]+)['"]/gm;

/** Reads the imports below `src`. */
export function readImportGraph(tree: SourceTree): ImportGraph {
  const isOurs = (file: string): boolean => file.endsWith('.ts') && !file.startsWith('wire/gen/');
  const files = tree
    .files('src/**/*.ts')
    .map((path) => path.slice('src/'.length))
    .filter(isOurs);
  const imports = files.flatMap((file) =>
    importsIn(tree.text(`src/${file}`)).map((each) => ({ file, ...each })),
  );
  const found = readdirSync(join(tree.root, 'src'), { recursive: true, encoding: 'utf8' });
  return { files, imports, existing: found.filter(isOurs).length };
}

/** Returns the imports in the text of a file. */
export function importsIn(text: string): Omit<Import, 'file'>[] {
  return [...text.matchAll(IMPORT)].map(({ groups }) => ({
    name: groups?.name ?? groups?.dynamic ?? '',
    isType: groups?.type !== undefined,
  }));
}

/** Returns the text of a file without its imports. */
export function withoutImports(text: string): string {
  return text.replace(IMPORT, '');
}

/**
 * Returns every ring: a largest set of files of which each reaches each other by imports, including
 * imports of types. (The strongly connected components of more than one file, after Tarjan.)
 */
export function importRings({ files, imports }: ImportGraph): string[][] {
  const known = new Set(files);
  const targets = new Map<string, string[]>(files.map((file) => [file, []]));
  for (const { file, name } of imports) {
    const target = name.startsWith('#') ? `${name.slice(1)}.ts` : posix.join(posix.dirname(file), name);
    if (known.has(target)) targets.get(file)?.push(target);
  }
  const order = new Map<string, number>();
  const stack: string[] = [];
  const rings: string[][] = [];

  /** Returns the earliest file on the stack that `file` reaches. */
  function visit(file: string): number {
    const index = order.size;
    order.set(file, index);
    stack.push(file);
    let lowest = index;
    for (const target of targets.get(file) ?? []) {
      const seen = order.get(target);
      if (seen === undefined) lowest = Math.min(lowest, visit(target));
      else if (stack.includes(target)) lowest = Math.min(lowest, seen);
    }
    if (lowest === index) {
      const ring = stack.splice(stack.indexOf(file));
      if (ring.length > 1 || targets.get(file)?.includes(file)) rings.push(ring.sort());
    }
    return lowest;
  }
  for (const file of files) if (!order.has(file)) visit(file);
  return rings;
}
