import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { bundleCode } from '../build/bundle-programs.ts';
import { writeCommonJsTypes } from '../build/commonjs-types.ts';
import { joinDeclarations } from '../build/join-declarations.ts';
import { commonFields, exportOf, type Manifest, rootManifest } from './manifest.ts';
import { reachable } from './reachable.ts';
import { ROOT } from './run.ts';

/** The exports of the package, each with its file and the compiled module behind it. */
const ENTRIES = {
  '.': { file: 'index', module: 'client/index' },
  './rails': { file: 'rails', module: 'client/rails/index' },
  './repository': { file: 'repository', module: 'client/repository/index' },
  './messages': { file: 'messages', module: 'wire/messages' },
} as const;
/** The module that each of them imports first. */
const FIRST = 'platform/process/check-node';
const MODULES = /^(?:(?:base|wire|rpc\/common|client)\/|platform\/process\/(?:check|minimum)-node\.)/;
/** The entry point with almost all generated code that the client uses. */
const MESSAGES = 'messages';
/** A module of which everything is exported. */
const EXPORTED = /^export \* from ['"](?<module>#[^'"]+)['"]/gm;
const DEPENDENCY = '@bufbuild/protobuf';

/**
 * Fills a folder with the client library as a separate package: the code that its entry points
 * reach, bundled, and its declarations, joined. Returns its manifest.
 *
 * @throws {Error} when a file of the server or another package would be needed
 */
export async function stageClient(compiled: string, folder: string): Promise<Manifest> {
  const entries = Object.values(ENTRIES);
  const { files, packages } = reachable(compiled, [FIRST, ...entries.map(({ module }) => module)]);
  const foreign = files.find((file) => !MODULES.test(file));
  if (foreign !== undefined) throw new Error(`${foreign} is no part of the client, but reachable from it`);
  for (const [name, file] of packages)
    if (name !== DEPENDENCY) throw new Error(`${file} needs the package ${name}`);
  const dist = join(folder, 'dist');
  for (const file of files) {
    mkdirSync(dirname(join(dist, file)), { recursive: true });
    writeFileSync(join(dist, file), renamed(readFileSync(join(compiled, file), 'utf8')));
  }
  const bundled: Record<string, string> = {};
  for (const { file, module } of entries) bundled[file] = module;
  const { [MESSAGES]: messages = '', ...others } = bundled;
  const exported = readFileSync(join(dist, `${messages}.js`), 'utf8').matchAll(EXPORTED);
  const modules = new Set([...exported].map(({ groups }) => groups?.module ?? ''));
  const options = { sourceMaps: false, keepsPackages: true };
  await bundleCode(dist, { entries: { [MESSAGES]: messages }, first: FIRST }, options);
  await bundleCode(
    dist,
    { entries: others, first: FIRST },
    { ...options, bundled: { modules, entry: MESSAGES } },
  );
  joinDeclarations(dist, bundled);
  for (const file of files) rmSync(join(dist, file));
  writeCommonJsTypes(dist, Object.fromEntries(entries.map(({ file }) => [file, `entry/${file}`])));
  cpSync(join(ROOT, 'docs/client/npm-readme.md'), join(folder, 'README.md'));
  return {
    name: 'gitaly-client',
    description: 'Client library for Gitaly and Praefect',
    keywords: ['gitaly', 'praefect', 'git', 'grpc', 'client', 'rpc'],
    ...commonFields(),
    exports: Object.fromEntries(
      Object.entries(ENTRIES).map(([name, { file }]) => [name, exportOf({ file, module: `entry/${file}` })]),
    ),
    files: ['dist', 'NOTICE'],
    sideEffects: [`./dist/entry/${basename(FIRST)}.js`],
    dependencies: { [DEPENDENCY]: rootManifest().dependencies[DEPENDENCY] ?? '' },
  };
}

/** Names the package in comments and its error as its users do. */
function renamed(text: string): string {
  return text
    .replaceAll('gitaly-ts/client', 'gitaly-client')
    .replaceAll('gitaly-ts/messages', 'gitaly-client/messages')
    .replaceAll('gitaly-ts needs', 'gitaly-client needs');
}
