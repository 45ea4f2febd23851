import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { type Plugin, rolldown } from 'rolldown';

/** Folder of the shared code of all programs, below `dist/`. */
const CHUNKS = 'programs';
/** Starts at a path of the file system: everything else is a package, or comes with Node. */
const OWN = /^[./#]/;
const LOCATION = /\bimport\.meta\.(?<part>url|filename|dirname)\b/g;

/**
 * Replaces each program `cli/NAME.js` below `dist` by one that imports its code from a few files in
 * `programs/`. A server consists of 1200 modules: to find and link them takes half of its start.
 * The modules themselves stay for those who import the package, and for threads.
 *
 * Packages stay outside. `import.meta.url` and the like keep the value of the module they are
 * written in.
 *
 * @param dist compiled code; it is changed
 * @param names the programs
 */
export async function bundlePrograms(
  dist: string,
  names: readonly string[],
  { sourceMaps }: { readonly sourceMaps: boolean },
): Promise<void> {
  const bundle = await rolldown({
    input: Object.fromEntries(names.map((name) => [`cli/${name}`, join(dist, 'cli', `${name}.js`)])),
    cwd: dist,
    platform: 'node',
    external: (id) => !OWN.test(id),
    plugins: [ownModules(dist, sourceMaps)],
    onLog: (level, log) => {
      if (level === 'warn') throw new Error(`bundling the programs: ${log.message}`);
    },
  });
  await bundle.write({
    dir: dist,
    format: 'esm',
    keepNames: true, // errors are logged and compared by the names of their classes
    sourcemap: sourceMaps,
    entryFileNames: '[name].js',
    chunkFileNames: `${CHUNKS}/[name]-[hash].js`,
  });
  await bundle.close();
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
  const url = `import.meta.resolve(${JSON.stringify(path)})`;
  return part === 'url' ? url : `process.getBuiltinModule('node:url').fileURLToPath(${url})`;
}
