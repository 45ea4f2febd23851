/**
 * Packs the client library as a package of its own, `gitaly-client`: the compiled files that its
 * entry points reach, and one dependency. Prints the path of the tarball.
 *
 *   node scripts/pack-client.ts [DIRECTORY]     default: the current directory
 */
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, posix, resolve } from 'node:path';

const root = join(import.meta.dirname, '..');
const target = resolve(process.argv[2] ?? '.');

/** The exports of the package, each with the compiled file behind it. */
const ENTRIES = {
  '.': 'client/index',
  './rails': 'client/rails/index',
  './messages': 'wire/messages',
} as const;
const MODULES = /^(?:base|wire|rpc\/common|client)\//;
const DEPENDENCY = '@bufbuild/protobuf';
const IMPORT = /(?:\bfrom\s*|\bimport\s*\(?\s*)(['"])(?<name>[^'"\n]+)\1/g;

const COMMENT = /\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm;

const work = mkdtempSync(join(tmpdir(), 'gitaly-client-'));
try {
  const compiled = compile();
  const files = reachable(compiled, Object.values(ENTRIES));
  const folder = join(work, 'package');
  for (const file of files) {
    mkdirSync(dirname(join(folder, 'dist', file)), { recursive: true });
    writeFileSync(join(folder, 'dist', file), renamed(readFileSync(join(compiled, file), 'utf8')));
  }
  writeFileSync(join(folder, 'package.json'), `${JSON.stringify(manifest(), undefined, 2)}\n`);
  cpSync(join(root, 'LICENSE'), join(folder, 'LICENSE'));
  cpSync(join(root, 'docs/client/npm-readme.md'), join(folder, 'README.md'));
  const packed = run('npm', ['pack', '--silent', '--ignore-scripts', '--pack-destination', target], folder);
  console.log(join(target, packed.trim()));
} finally {
  rmSync(work, { recursive: true, force: true });
}

/** Compiles `src/` aside, without source maps, and puts the generated wire code beside it. */
function compile(): string {
  const out = join(work, 'compiled');
  const project = ['-p', join(root, 'tsconfig.build.json')];
  run(join(root, 'node_modules/.bin/tsc'), [...project, '--outDir', out, '--sourceMap', 'false'], root);
  cpSync(join(root, 'src/wire/gen'), join(out, 'wire/gen'), { recursive: true });
  return out;
}

/** The JavaScript and declarations that the entries lead to, all of the client's own modules. */
function reachable(compiled: string, entries: readonly string[]): string[] {
  const found = new Set(entries.flatMap((entry) => [`${entry}.js`, `${entry}.d.ts`]));
  for (const file of found) {
    if (!MODULES.test(file)) throw new Error(`${file} is no part of the client, but reachable from it`);
    const code = readFileSync(join(compiled, file), 'utf8').replace(COMMENT, '');
    for (const { groups } of code.matchAll(IMPORT)) {
      const name = groups?.name ?? '';
      if (name.startsWith('node:') || name === DEPENDENCY || name.startsWith(`${DEPENDENCY}/`)) continue;
      const isOwn = name.startsWith('#') || name.startsWith('.');
      if (!isOwn) throw new Error(`${file} needs the package ${name}`);
      const path = name.startsWith('#') ? `${name.slice(1)}.js` : posix.join(dirname(file), name);
      const declarations = path.replace(/\.(?:js|ts)$/, '.d.ts');
      if (file.endsWith('.js')) found.add(path);
      if (existsSync(join(compiled, declarations))) found.add(declarations);
    }
  }
  return [...found].sort();
}

/** Names the package in comments as its users do. */
function renamed(text: string): string {
  return text
    .replaceAll('gitaly-ts/client', 'gitaly-client')
    .replaceAll('gitaly-ts/messages', 'gitaly-client/messages');
}

function manifest(): object {
  const { version, license, engines, dependencies } = JSON.parse(
    readFileSync(join(root, 'package.json'), 'utf8'),
  );
  return {
    name: 'gitaly-client',
    version,
    description: 'Client library for Gitaly and Praefect',
    license,
    type: 'module',
    engines,
    imports: { '#*': './dist/*.js' },
    exports: Object.fromEntries(
      Object.entries(ENTRIES).map(([name, file]) => [
        name,
        { types: `./dist/${file}.d.ts`, default: `./dist/${file}.js` },
      ]),
    ),
    files: ['dist'],
    sideEffects: false,
    dependencies: { [DEPENDENCY]: dependencies[DEPENDENCY] },
  };
}

function run(program: string, args: readonly string[], cwd: string): string {
  const { status, stdout, stderr } = spawnSync(program, args, { cwd, encoding: 'utf8' });
  if (status !== 0) throw new Error(`${program} ended with ${status}: ${stdout}${stderr}`);
  return stdout;
}
