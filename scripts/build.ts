/**
 * Builds `dist/`: the compiler's output of `src/`, every other file that the program reads at run
 * time (generated wire code, the hook's shell script), and the bundled programs. The new tree
 * replaces the old one atomically, so that a program started during a build finds one of them
 * complete.
 *
 *   node scripts/build.ts [--to FOLDER] [--no-source-maps]     default: dist/
 */
import {
  chmodSync,
  cpSync,
  existsSync,
  globSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { parseSync } from 'oxc-parser';
import { bundleCode } from './build/bundle-programs.ts';
import { writeCommonJsTypes } from './build/commonjs-types.ts';
import { mendDeclarations } from './build/mend-declarations.ts';
import { narrowCharacters } from './build/narrow-characters.ts';
import { runCompiler } from './build/run-compiler.ts';

const { values: given } = parseArgs({
  options: { to: { type: 'string' }, 'no-source-maps': { type: 'boolean', default: false } },
});
const root = join(import.meta.dirname, '..');
const dist = resolve(given.to ?? join(root, 'dist'));
const next = `${dist}.next-${process.pid}`;

/** The module that each entry point of the package imports first. */
const FIRST = 'platform/process/check-node';
/** Modules that are the code of a thread with packages of its own. */
const THREADS = ['console/rendering/render-thread'];
/** Files that the compiler creates itself or that are not used at run time. */
const LEFT_OUT = [/(?<!\.d)\.ts$/, /\.md$/, /(^|\/)fixtures\/(?!tls-(?:certificate|key)\.pem$)/];

try {
  const problem = runCompiler(join(root, 'node_modules/.bin/tsc'), [
    ...['-p', join(root, 'tsconfig.build.json'), '--outDir', next],
    ...['--sourceMap', String(!given['no-source-maps'])],
  ]);
  if (problem !== undefined) {
    if (problem !== '') console.error(problem);
    process.exitCode = 1;
  } else {
    copyAssets();
    removeComments();
    mendDeclarations(next);
    const entries = markExecutables();
    const programs = entries.map((entry) => basename(entry, '.js'));
    const bundled = { programs, entries: packageEntries(), first: FIRST, threads: THREADS };
    await bundleCode(next, bundled, { sourceMaps: !given['no-source-maps'] });
    narrowCode();
    writeCommonJsTypes(next, bundled.entries);
    writeFileSync(join(next, '.built'), '');
    replace();
  }
} finally {
  rmSync(next, { recursive: true, force: true });
}

/** Returns the module behind each entry point of the package, by the name of its file in `entry/`. */
function packageEntries(): Readonly<Record<string, string>> {
  const { exports } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
    readonly exports: Readonly<Record<string, { readonly source: string; readonly default: string }>>;
  };
  const entries = Object.values(exports).map(({ source, default: file }) => [
    basename(file, '.js'),
    source.replace(/^\.\/src\/(.*)\.ts$/, '$1'),
  ]);
  return Object.fromEntries(entries);
}

function copyAssets(): void {
  for (const file of globSync('**/*.*', { cwd: join(root, 'src') })) {
    if (LEFT_OUT.some((pattern) => pattern.test(file))) continue;
    mkdirSync(dirname(join(next, file)), { recursive: true });
    cpSync(join(root, 'src', file), join(next, file));
  }
}

/**
 * Removes the comments of JavaScript files, which every process would keep in memory with the code.
 * They are in the declarations. Lines stay where source maps and stacks expect them.
 */
function removeComments(): void {
  for (const file of globSync('**/*.js', { cwd: next })) {
    const path = join(next, file);
    const source = readFileSync(path, 'utf8');
    let code = '';
    let at = 0;
    for (const { start, end, value } of parseSync(path, source).comments) {
      const isOfUse = value.startsWith('#') || (start === 0 && source.startsWith('#!'));
      if (isOfUse) continue; // the link to the source map; the program's interpreter
      code += source.slice(at, start) + (value.replace(/[^\n]+/g, '') || ' ');
      at = end;
    }
    writeFileSync(path, code + source.slice(at));
  }
}

/** Lets V8 keep the code in one byte for each character. */
function narrowCode(): void {
  for (const file of globSync('**/*.js', { cwd: next })) {
    const path = join(next, file);
    const code = readFileSync(path, 'utf8');
    const narrow = narrowCharacters(code);
    if (narrow !== code) writeFileSync(path, narrow);
  }
}

/** Makes the published `bin` entries executable, for links from a clone, and returns them. */
function markExecutables(): readonly string[] {
  const { bin }: { bin: Record<string, string> } = JSON.parse(
    readFileSync(join(root, 'package.json'), 'utf8'),
  );
  const entries = Object.values(bin).map((target) => target.replace(/^(\.\/)?dist\//, ''));
  for (const entry of entries) chmodSync(join(next, entry), 0o755);
  return entries;
}

function replace(): void {
  const old = `${dist}.old-${process.pid}`;
  if (existsSync(dist)) renameSync(dist, old);
  renameSync(next, dist);
  rmSync(old, { recursive: true, force: true });
}
