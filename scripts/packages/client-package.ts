import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { bundleCode } from '../build/bundle-programs.ts';
import { writeCommonJsTypes } from '../build/commonjs-types.ts';
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
const MODULES = /^(?:base|wire|rpc\/common|client)\//;
const DEPENDENCY = '@bufbuild/protobuf';

/**
 * Fills a folder with the client library as a separate package: the code that its entry points
 * reach, bundled, and its declarations. Returns its manifest.
 *
 * @throws {Error} when a file of the server or another package would be needed
 */
export async function stageClient(compiled: string, folder: string): Promise<Manifest> {
  const entries = Object.values(ENTRIES);
  const modules = entries.map(({ module }) => module);
  const { files, packages } = reachable(compiled, modules);
  const foreign = files.find((file) => !MODULES.test(file));
  if (foreign !== undefined) throw new Error(`${foreign} is no part of the client, but reachable from it`);
  for (const [name, file] of packages)
    if (name !== DEPENDENCY) throw new Error(`${file} needs the package ${name}`);
  for (const file of files) {
    mkdirSync(dirname(join(folder, 'dist', file)), { recursive: true });
    writeFileSync(join(folder, 'dist', file), renamed(readFileSync(join(compiled, file), 'utf8')));
  }
  const bundled = Object.fromEntries(entries.map(({ file, module }) => [file, module]));
  await bundleCode(join(folder, 'dist'), { entries: bundled }, { sourceMaps: false });
  const declared = new Set(
    reachable(
      compiled,
      modules.map((module) => `${module}.d.ts`),
    ).files,
  );
  for (const file of files) if (!declared.has(file)) rmSync(join(folder, 'dist', file));
  writeCommonJsTypes(join(folder, 'dist'), bundled);
  cpSync(join(ROOT, 'docs/client/npm-readme.md'), join(folder, 'README.md'));
  return {
    name: 'gitaly-client',
    description: 'Client library for Gitaly and Praefect',
    keywords: ['gitaly', 'praefect', 'git', 'grpc', 'client', 'rpc'],
    ...commonFields(),
    imports: { '#*': './dist/*.js' },
    exports: Object.fromEntries(Object.entries(ENTRIES).map(([name, entry]) => [name, exportOf(entry)])),
    files: ['dist', 'NOTICE'],
    sideEffects: false,
    dependencies: { [DEPENDENCY]: rootManifest().dependencies[DEPENDENCY] ?? '' },
  };
}

/** Names the package in comments as its users do. */
function renamed(text: string): string {
  return text
    .replaceAll('gitaly-ts/client', 'gitaly-client')
    .replaceAll('gitaly-ts/messages', 'gitaly-client/messages');
}
