import { cpSync, existsSync, globSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { commonFields, type Manifest, rootManifest } from './manifest.ts';
import { reachable } from './reachable.ts';
import { ROOT } from './run.ts';

/**
 * Fills a folder with the package of everything: server, gateways, client, testing, programs.
 * Returns its manifest, which is the project's without what only a clone can use.
 *
 * @throws {Error} when a published file imports a package that is not installed with it
 */
export function stageServer(compiled: string, folder: string): Manifest {
  const { name, description, keywords, bin, files, exports, dependencies, optionalDependencies } =
    rootManifest() as Manifest & {
      readonly files: readonly string[];
      readonly exports: Readonly<Record<string, { readonly types: string; readonly default: string }>>;
    };
  cpSync(compiled, join(folder, 'dist'), { recursive: true });
  removeUnpublishedTestkit(folder);
  checkPackages(join(folder, 'dist'), { ...dependencies, ...optionalDependencies });
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
    imports: { '#wire/gen/*': './dist/wire/gen/*.js', '#*': './dist/*.js' },
    exports: Object.fromEntries(
      Object.entries(exports).map(([path, { types, default: file }]) => [path, { types, default: file }]),
    ),
    bin,
    man: Object.keys(bin as object).map((program) => `./man/${program}.1`),
    files,
    dependencies,
    ...(optionalDependencies && { optionalDependencies }),
  };
}

/** Removes the parts of the testkit that only the project's own tests use. */
function removeUnpublishedTestkit(folder: string): void {
  const dist = join(folder, 'dist');
  const published = new Set(reachable(dist, ['testkit/index']).files);
  for (const file of globSync('testkit/**/*.{js,d.ts}', { cwd: dist }))
    if (!published.has(file)) rmSync(join(dist, file));
}

function checkPackages(dist: string, dependencies: Readonly<Record<string, string>>): void {
  const files = globSync('**/*.js', { cwd: dist }).filter((file) => !file.startsWith('wire/gen/'));
  const entries = files.map((file) => file.replace(/\.js$/, ''));
  for (const [name, file] of reachable(dist, entries).packages)
    if (!(name in dependencies)) throw new Error(`${file} imports ${name}, which is no dependency`);
}
