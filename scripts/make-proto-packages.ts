/**
 * Makes packages of the wire contract for other languages, from `proto/`: folders `npm`, `ruby`,
 * `go` and `python`. Prints one line for each; a language whose generator is not there is skipped.
 *
 *   node --conditions=source scripts/make-proto-packages.ts [DIRECTORY] [LANGUAGE …]
 *
 * Default: packages/protos/, all languages. `GITALY_GO_MODULE` is the path of the Go module.
 */
import { cpSync, mkdirSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { rootManifest } from './packages/manifest.ts';
import { ROOT } from './packages/run.ts';
import { makeGoModule } from './proto-packages/go-module.ts';
import { makeNpmPackage } from './proto-packages/npm-package.ts';
import { makePythonPackage } from './proto-packages/python-package.ts';
import { makeRubyGem } from './proto-packages/ruby-gem.ts';

/** Each fills a folder, or returns why it cannot. */
const MAKERS = {
  npm: makeNpmPackage,
  ruby: makeRubyGem,
  go: makeGoModule,
  python: makePythonPackage,
};

const [directory = 'packages/protos', ...languages] = process.argv.slice(2);
for (const [language, make] of Object.entries(MAKERS)) {
  if (languages.length > 0 && !languages.includes(language)) continue;
  const folder = join(resolve(directory), language);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  cpSync(join(ROOT, 'LICENSE'), join(folder, 'LICENSE'));
  const reason = await make(folder, rootManifest().version);
  if (reason !== undefined) rmSync(folder, { recursive: true });
  console.log(reason === undefined ? folder : `${language}: skipped, ${reason}`);
}
