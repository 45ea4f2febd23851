import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { type Plugin, rolldown } from 'rolldown';

/** Folder of the shared code of all programs, below `dist/`. */
const PROGRAMS = 'programs';
/** Folder of the entry points of the package and of their shared code, below `dist/`. */
const ENTRIES = 'entry';
/** Starts at a path of the file system: everything else is a package, or comes with Node. */
const OWN = /^[./#]/;
/**
 * A package of 255 modules, of which one of ours uses a few: as modules they take 3 MB of a
 * praefect, bundled 1 MB.
 */
const BUNDLED_PACKAGES: ReadonlySet<string> = new Set(['kysely']);
/** The packages of this project: `dist` may be elsewhere. */
const PACKAGES = join(import.meta.dirname, '../../node_modules');
const LOCATION = /\bimport\.meta\.(?<part>url|filename|dirname)\b/g;

/**
 * Replaces each program `cli/NAME.js` below `dist` by one that imports its code from a few files in
 * `programs/`. A server consists of 1200 modules: to find and link them takes half of its start.
 * The modules themselves stay for those who import the package, and for threads.
 *
 * Packages stay outside, but for {@link BUNDLED_PACKAGES}. `import.meta.url` and the like keep the
 * value of the module they are written in.
 *
 * @param dist compiled code; it is changed
 * @param names the programs
 */
export async function bundlePrograms(
  dist: string,
  names: readonly string[],
  { sourceMaps }: { readonly sourceMaps: boolean },
): Promise<void> {
  await bundle(dist, Object.fromEntries(names.map((name) => [`cli/${name}`, `cli/${name}`])), {
    chunks: PROGRAMS,
    sourceMaps,
  });
}

/**
 * Writes the entry points of the package as `entry/NAME.js`, with their code in a few files: a test
 * file that imports `gitaly-ts/testing` loads 1240 modules otherwise. They share code: a class
 * is the same in all of them.
 *
 * @param entries module of each name, without its ending
 */
export async function bundleEntries(
  dist: string,
  entries: Readonly<Record<string, string>>,
  { sourceMaps }: { readonly sourceMaps: boolean },
): Promise<void> {
  const inputs = Object.entries(entries).map(([name, module]) => [`${ENTRIES}/${name}`, module]);
  await bundle(dist, Object.fromEntries(inputs), { chunks: ENTRIES, sourceMaps });
}

/** Bundles modules below `dist` into the files that `inputs` names, and into `chunks`. */
async function bundle(
  dist: string,
  inputs: Readonly<Record<string, string>>,
  { chunks, sourceMaps }: { readonly chunks: string; readonly sourceMaps: boolean },
): Promise<void> {
  const paths = Object.entries(inputs).map(([name, module]) => [name, join(dist, `${module}.js`)]);
  const bundled = await rolldown({
    input: Object.fromEntries(paths),
    cwd: dist,
    platform: 'node',
    resolve: { modules: [PACKAGES] },
    external: (id) => !OWN.test(id) && !BUNDLED_PACKAGES.has(id),
    plugins: [ownModules(dist, sourceMaps)],
    onLog: (level, log) => {
      // A dynamic import of a module that another one imports statically does no harm.
      const isHarmless = log.code === 'INEFFECTIVE_DYNAMIC_IMPORT';
      if (level === 'warn' && !isHarmless) throw new Error(`bundling: ${log.message}`);
    },
  });
  await bundled.write({
    dir: dist,
    format: 'esm',
    keepNames: true, // errors are logged and compared by the names of their classes
    sourcemap: sourceMaps,
    comments: false,
    entryFileNames: '[name].js',
    chunkFileNames: `${chunks}/[name]-[hash].js`,
  });
  await bundled.close();
}

function ownModules(dist: string, sourceMaps: boolean): Plugin {
  return {
    name: 'own-modules',
    resolveId: (id) => (id.startsWith('#') ? join(dist, `${id.slice(1)}.js`) : null),
    load: (id) => {
      const map = `${id}.map`;
      const code = readFileSync(id, 'utf8').replace(LOCATION, (_, part: string) => located(dist, id, part));
      return { code, ...(sourceMaps && existsSync(map) && { map: readFileSync(map, 'utf8') }) };
    },
  };
}

/** Returns an expression for `import.meta.PART` of a module. All bundles are one level below `dist`. */
function located(dist: string, module: string, part: string): string {
  const path = `../${relative(dist, part === 'dirname' ? dirname(module) : module)}`;
  const url = `new URL(${JSON.stringify(path)}, import.meta.url)`;
  return part === 'url' ? `${url}.href` : `process.getBuiltinModule('node:url').fileURLToPath(${url})`;
}
