import { cpSync, existsSync, globSync, readFileSync, rmSync } from 'node:fs';
import { join, posix } from 'node:path';
import { commonFields, type Manifest, NODE_TYPES, rootManifest } from './manifest.ts';
import { reachable } from './reachable.ts';
import { ROOT } from './run.ts';

interface Export {
  readonly source: string;
  readonly require: { readonly types: string };
  readonly types: string;
  readonly default: string;
}

/**
 * Fills a folder with the package of everything: server, gateways, client, testing, programs.
 * Returns its manifest, which is the project's without what only a clone can use.
 *
 * @throws {Error} when a published file imports a package that is not installed with it
 */
export function stageServer(compiled: string, folder: string): Manifest {
  const root = rootManifest() as Manifest & {
    readonly files: readonly string[];
    readonly exports: Readonly<Record<string, Export>>;
    readonly bin: Readonly<Record<string, string>>;
  };
  const { name, description, keywords, bin, files, exports, dependencies, optionalDependencies } = root;
  cpSync(compiled, join(folder, 'dist'), { recursive: true });
  removeUnused(join(folder, 'dist'), { programs: Object.values(bin), exports: Object.values(exports) });
  checkPackages(join(folder, 'dist'), { ...dependencies, ...optionalDependencies, ...root.peerDependencies });
  for (const file of files) {
    if (file !== 'dist' && existsSync(join(ROOT, file)))
      cpSync(join(ROOT, file), join(folder, file), { recursive: true });
  }
  cpSync(join(ROOT, 'README.md'), join(folder, 'README.md'));
  return {
    name,
    description,
    keywords,
    ...commonFields(),
    peerDependencies: { ...NODE_TYPES.peerDependencies, ...root.peerDependencies },
    peerDependenciesMeta: { ...NODE_TYPES.peerDependenciesMeta, ...root.peerDependenciesMeta },
    imports: { '#wire/gen/*': './dist/wire/gen/*.js', '#*': './dist/*.js' },
    exports: Object.fromEntries(
      Object.entries(exports).map(([path, { source: _, ...published }]) => [path, published]),
    ),
    bin,
    man: Object.keys(bin as object).map((program) => `./man/${program}.1`),
    files,
    dependencies,
    ...(optionalDependencies && { optionalDependencies }),
  };
}

/** `new URL('PATH.js', import.meta.url)`, as the bundler writes it: the file of a thread. */
const THREAD = /new URL\("(?<name>\.[\w./-]+\.js)", new URL\("\.\.\/(?<module>[^"]+)", import\.meta\.url\)/g;

/**
 * Removes the modules that are in the bundles, and the declarations that no export needs: the
 * package would have its code twice.
 */
function removeUnused(
  dist: string,
  { programs, exports }: { readonly programs: readonly string[]; readonly exports: readonly Export[] },
): void {
  const codeOf = (starts: readonly string[]) => reachable(dist, starts).files;
  const starts = [...programs, ...exports.map((each) => each.default)].map(withoutEnding);
  const threads = codeOf(starts).flatMap((file) => threadsOf(readFileSync(join(dist, file), 'utf8')));
  const used = new Set([
    ...codeOf([...starts, ...threads]).filter((file) => file.endsWith('.js')),
    ...codeOf(exports.map((each) => withoutDist(each.types))),
  ]);
  for (const file of globSync('**/*.{js,d.ts}', { cwd: dist })) if (!used.has(file)) rmSync(join(dist, file));
}

function withoutDist(path: string): string {
  return path.replace(/^(?:\.\/)?dist\//, '');
}

function withoutEnding(path: string): string {
  return withoutDist(path).replace(/\.js$/, '');
}

function threadsOf(code: string): string[] {
  return [...code.matchAll(THREAD)].map(({ groups }) =>
    withoutEnding(posix.join(posix.dirname(groups?.module ?? ''), groups?.name ?? '')),
  );
}

function checkPackages(dist: string, dependencies: Readonly<Record<string, string>>): void {
  const files = globSync('**/*.js', { cwd: dist }).filter((file) => !file.startsWith('wire/gen/'));
  const entries = files.map((file) => file.replace(/\.js$/, ''));
  for (const [name, file] of reachable(dist, entries).packages)
    if (!(name in dependencies)) throw new Error(`${file} imports ${name}, which is no dependency`);
}
