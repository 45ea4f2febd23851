/**
 * Makes the npm packages: `gitaly-ts`, and `gitaly-client` with the client library alone. Beside
 * each tarball it writes the list of its components (CycloneDX). Prints the paths of the tarballs.
 *
 *   node scripts/make-packages.ts [DIRECTORY]     default: packages/
 */
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { stageClient } from './packages/client-package.ts';
import { componentsOf } from './packages/components.ts';
import type { Manifest } from './packages/manifest.ts';
import { ROOT, run } from './packages/run.ts';
import { stageServer } from './packages/server-package.ts';

const target = resolve(process.argv[2] ?? 'packages');
const work = mkdtempSync(join(tmpdir(), 'gitaly-packages-'));
try {
  mkdirSync(target, { recursive: true });
  const compiled = compile();
  for (const stage of [stageServer, stageClient]) {
    const folder = mkdtempSync(join(work, 'package-'));
    const manifest = await stage(compiled, folder);
    console.log(pack(folder, manifest));
  }
} finally {
  rmSync(work, { recursive: true, force: true });
}

/** Builds `src/` aside, as for `dist/`, but without source maps. */
function compile(): string {
  const out = join(work, 'compiled');
  run(process.execPath, [join(ROOT, 'scripts/build.ts'), '--to', out, '--no-source-maps'], ROOT);
  return out;
}

function pack(folder: string, manifest: Manifest): string {
  writeFileSync(join(folder, 'package.json'), `${JSON.stringify(manifest, undefined, 2)}\n`);
  cpSync(join(ROOT, 'LICENSE'), join(folder, 'LICENSE'));
  const whole = readFileSync(join(ROOT, 'NOTICE'), 'utf8');
  const contents = manifest.name === 'gitaly-client' ? clientNotice(whole) : whole;
  writeFileSync(join(folder, 'NOTICE'), contents);
  const name = `${manifest.name}-${manifest.version}`;
  writeFileSync(
    join(target, `${name}.cdx.json`),
    componentsOf(manifest, join(work, 'components', manifest.name)),
  );
  run('npm', ['pack', '--silent', '--ignore-scripts', '--pack-destination', target], folder);
  return join(target, `${name}.tgz`);
}

/** Returns the notice without the projects of which the client contains nothing. */
function clientNotice(whole: string): string {
  const [head = '', ...sections] = whole.split(/\n(?=\S)/);
  const own = sections.filter((text) => /^(?:Its own code|Gitaly |The MIT licence)/.test(text));
  if (own.length !== 3) throw new Error('NOTICE has other sections');
  return `${[head.replace('gitaly-ts', 'gitaly-client'), ...own].join('\n').trimEnd()}\n`;
}
