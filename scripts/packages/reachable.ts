import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, posix } from 'node:path';

/** Statements at the start of a line, and `import()` of a literal. */
const IMPORT =
  /^(?:import|export)\s(?:[^'"`;]*?\bfrom\s*)?(?<quote>['"])(?<name>[^'"\n]+)\k<quote>|\bimport\(\s*(?<quote2>['"])(?<dynamic>[^'"\n]+)\k<quote2>/gm;
const COMMENT = /\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm;

/** Files and packages behind entry points. */
export interface Reachable {
  /** Paths of JavaScript files and declarations below the compiled folder, sorted. */
  readonly files: readonly string[];
  /** Names of npm packages, each with a file that imports it. */
  readonly packages: ReadonlyMap<string, string>;
}

/**
 * Follows the imports of compiled entry points.
 *
 * @param entries paths without their ending; from a declaration only others are followed
 */
export function reachable(compiled: string, entries: readonly string[]): Reachable {
  const exists = (file: string): boolean => existsSync(join(compiled, file));
  const declared = entries.filter((entry) => entry.endsWith('.d.ts'));
  const run = entries.filter((entry) => !entry.endsWith('.d.ts'));
  const found = new Set([...declared, ...run.map((entry) => `${entry}.js`)]);
  for (const entry of run) if (exists(`${entry}.d.ts`)) found.add(`${entry}.d.ts`);
  const packages = new Map<string, string>();
  for (const file of found) {
    const text = readFileSync(join(compiled, file), 'utf8');
    // The build has removed the comments of code, where strings may look like one.
    const code = file.endsWith('.d.ts') ? text.replace(COMMENT, '') : text;
    for (const { groups } of code.matchAll(IMPORT)) {
      const name = groups?.name ?? groups?.dynamic ?? '';
      if (name.startsWith('node:')) continue;
      if (!name.startsWith('#') && !name.startsWith('.')) {
        packages.set(/^(?:@[^/]+\/)?[^/]+/.exec(name)?.[0] ?? name, file);
        continue;
      }
      const path = name.startsWith('#') ? `${name.slice(1)}.js` : posix.join(dirname(file), name);
      const declarations = path.replace(/\.(?:js|ts)$/, '.d.ts');
      if (file.endsWith('.js')) found.add(path);
      if (exists(declarations)) found.add(declarations);
    }
  }
  return { files: [...found].sort(), packages };
}
