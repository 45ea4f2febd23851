import { existsSync, readFileSync } from 'node:fs';
import { basename, dirname, join, relative } from 'node:path';
import { type Plugin, rolldown } from 'rolldown';
import { sharedFileName, sharedFiles } from './shared-files.ts';

/** Folder of the code that the programs and entry points share, below `dist/`. */
const SHARED = 'shared';
/** Folder of the entry points of the package, below `dist/`. */
const ENTRIES = 'entry';
/** Folder of the bundled threads, below `dist/`. */
const THREADS = 'threads';
/** Starts at a path of the file system: everything else is a package, or comes with Node. */
const OWN = /^[./#]/;
/**
 * Packages that are bundled: those that every start loads, or that have many more modules than we
 * use. The 85 modules that each server loads of the first three take a sixth of the processor time
 * of its start. kysely's 255 modules take 3 MB of a praefect, bundled 1 MB. highlight.js takes 9 MB
 * on disk, bundled 0.3 MB.
 */
const BUNDLED_PACKAGES: ReadonlySet<string> = new Set([
  ...['@bufbuild/protobuf', 'commander', 'smol-toml', 'kysely', 'typebox'],
  ...['highlight.js', 'markdown-it', 'sanitize-html'], // of the thread that renders
  ...['htmlparser2', 'domhandler', 'domutils', 'dom-serializer', 'domelementtype'], // of sanitize-html
  ...['escape-string-regexp', 'is-plain-object', 'launder', 'dayjs', 'parse-srcset'],
  ...['postcss', 'nanoid', 'picocolors', 'source-map-js'],
  ...['argparse', 'entities', 'linkify-it', 'mdurl', 'punycode.js', 'uc.micro'], // of markdown-it
]);
/** The name of a package, at the start of the path of one of its modules. */
const PACKAGE_NAME = /^(?:@[^/]+\/)?[^/]+/;
/** The packages of this project: `dist` may be elsewhere. */
const PACKAGES = join(import.meta.dirname, '../../node_modules');
const LOCATION = /\bimport\.meta\.(?<part>url|filename|dirname)\b/g;
/** The bundler's comment before the code of a module. */
const MODULE_NAME = /^\/\/ \S+\.[cm]?js$/gm;

/** The parts of the package that are bundled. */
export interface Bundled {
  /** Programs `cli/NAME.js`. */
  readonly programs?: readonly string[];
  /** Module of each entry point `entry/NAME.js` of the package, without its ending. */
  readonly entries?: Readonly<Record<string, string>>;
  /** Module that each entry point imports before all others, without its ending. */
  readonly first?: string;
  /** Modules that are the code of a thread, without their endings: they become `threads/NAME.js`. */
  readonly threads?: readonly string[];
}

interface Options {
  readonly sourceMaps: boolean;
  /** Leaves all packages outside: one that its users install, too, is in their program once. */
  readonly keepsPackages?: boolean;
  /** Modules, as imports name them, that an entry point already contains and exports. */
  readonly bundled?: { readonly modules: ReadonlySet<string>; readonly entry: string };
}

/**
 * Replaces each program `cli/NAME.js` below `dist` by one that imports its code from a few files in
 * `shared/`, and writes the entry points of the package in the same way as `entry/NAME.js`. A
 * server consists of 1200 modules: to find and link them takes half of its start. All of them share
 * code, which is in the package once: a class is the same in all entry points. The modules
 * themselves are left for threads, and in a clone.
 *
 * Packages stay outside, but for {@link BUNDLED_PACKAGES}. `import.meta.url` and similar keep the
 * value of the module they are written in.
 *
 * @param dist compiled code; it is changed
 */
export async function bundleCode(
  dist: string,
  { programs = [], entries = {}, first, threads = [] }: Bundled,
  { sourceMaps, keepsPackages = false, bundled: before }: Options,
): Promise<void> {
  const inputs = {
    ...Object.fromEntries(programs.map((name) => [`cli/${name}`, `cli/${name}`])),
    ...Object.fromEntries(Object.entries(entries).map(([name, module]) => [`${ENTRIES}/${name}`, module])),
    ...(first !== undefined && { [`${ENTRIES}/${basename(first)}`]: first }),
    ...Object.fromEntries(threads.map((module) => [`${THREADS}/${basename(module)}`, module])),
  };
  const paths = new Map(Object.entries(inputs).map(([name, module]) => [name, join(dist, `${module}.js`)]));
  const bundled = await rolldown({
    input: Object.fromEntries(paths),
    cwd: dist,
    platform: 'node',
    resolve: { modules: [PACKAGES] },
    external: (id) => before?.modules.has(id) || (!OWN.test(id) && (keepsPackages || !isBundled(id))),
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
    banner: ({ name }) =>
      first !== undefined && name.slice(`${ENTRIES}/`.length) in entries
        ? `import "./${basename(first)}.js";`
        : '',
    // All bundles are one level below `dist`.
    paths: (id) => (before?.modules.has(id) ? `../${ENTRIES}/${before.entry}.js` : id),
    entryFileNames: '[name].js',
    chunkFileNames: (chunk) => `${SHARED}/${sharedFileName(chunk)}-[hash].js`,
    codeSplitting: sharedFiles(dist, new Set(paths.values())),
  });
  await bundled.close();
}

function isBundled(id: string): boolean {
  return BUNDLED_PACKAGES.has(PACKAGE_NAME.exec(id)?.[0] ?? '');
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
    // The names take 0.1 MB, and depend on the folder of the build. Source maps expect the lines.
    renderChunk: (code) => ({ code: code.replace(MODULE_NAME, ''), map: null }),
  };
}

/** Returns an expression for `import.meta.PART` of a module. All bundles are one level below `dist`. */
function located(dist: string, module: string, part: string): string {
  const path = `../${relative(dist, part === 'dirname' ? dirname(module) : module)}`;
  const url = `new URL(${JSON.stringify(path)}, import.meta.url)`;
  return part === 'url' ? `${url}.href` : `process.getBuiltinModule('node:url').fileURLToPath(${url})`;
}
