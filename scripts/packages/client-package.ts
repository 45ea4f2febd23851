import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { commonFields, exportOf, type Manifest, rootManifest } from './manifest.ts';
import { reachable } from './reachable.ts';
import { ROOT } from './run.ts';

/** The exports of the package, each with the compiled file behind it. */
const ENTRIES = {
  '.': 'client/index',
  './rails': 'client/rails/index',
  './repository': 'client/repository/index',
  './messages': 'wire/messages',
} as const;
const MODULES = /^(?:base|wire|rpc\/common|client)\//;
const DEPENDENCY = '@bufbuild/protobuf';

/**
 * Fills a folder with the client library as a package of its own: the compiled files that its entry
 * points reach. Returns its manifest.
 *
 * @throws {Error} when a file of the server or another package would be needed
 */
export function stageClient(compiled: string, folder: string): Manifest {
  const { files, packages } = reachable(compiled, Object.values(ENTRIES));
  const foreign = files.find((file) => !MODULES.test(file));
  if (foreign !== undefined) throw new Error(`${foreign} is no part of the client, but reachable from it`);
  for (const [name, file] of packages)
    if (name !== DEPENDENCY) throw new Error(`${file} needs the package ${name}`);
  for (const file of files) {
    mkdirSync(dirname(join(folder, 'dist', file)), { recursive: true });
    writeFileSync(join(folder, 'dist', file), renamed(readFileSync(join(compiled, file), 'utf8')));
  }
  cpSync(join(ROOT, 'docs/client/npm-readme.md'), join(folder, 'README.md'));
  return {
    name: 'gitaly-client',
    description: 'Client library for Gitaly and Praefect',
    keywords: ['gitaly', 'praefect', 'git', 'grpc', 'client', 'rpc'],
    ...commonFields(),
    imports: { '#*': './dist/*.js' },
    exports: Object.fromEntries(Object.entries(ENTRIES).map(([name, file]) => [name, exportOf(file)])),
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
