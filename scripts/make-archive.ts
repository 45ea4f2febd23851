/**
 * Makes an archive for machines without Node: the package `gitaly-ts` with its dependencies, Node
 * itself, and the programs in `bin/`. It is for the platform that this runs on.
 *
 *   node scripts/make-archive.ts [DIRECTORY]     default: packages/, with the package in it
 */
import {
  chmodSync,
  cpSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { rootManifest } from './packages/manifest.ts';
import { run } from './packages/run.ts';

/** Runs a program of the package with the archive's Node; works through symlinks. */
const LAUNCHER = `#!/bin/sh
self=$0
while [ -h "$self" ]; do
  target=$(readlink "$self")
  case $target in
    /*) self=$target ;;
    *) self=$(dirname "$self")/$target ;;
  esac
done
root=$(cd "$(dirname "$self")/.." && pwd -P)
PATH=$root/node/bin:$PATH
# A server that restarts itself calls this path again: an upgrade may have changed where it leads.
# The number marks the path as this process's, not inherited from another program.
case \${GITALY_TS_LAUNCHER:-} in
  $$:*) ;;
  *)
    case $0 in
      /*) GITALY_TS_LAUNCHER=$$:$0 ;;
      *) GITALY_TS_LAUNCHER=$$:$PWD/$0 ;;
    esac
    ;;
esac
export PATH GITALY_TS_LAUNCHER
exec "$root/lib/node_modules/gitaly-ts/bin/$(basename "$self")" "$@"
`;

const target = resolve(process.argv[2] ?? 'packages');
const { name, version, bin, peerDependencies = {} } = rootManifest();
// npm does not install the packages for backups in buckets with ours.
const forBuckets = Object.entries(peerDependencies).map(([name, range]) => `${name}@${range}`);
const work = mkdtempSync(join(tmpdir(), 'gitaly-archive-'));
try {
  const title = `${name}-${version}-${process.platform}-${process.arch}`;
  const folder = join(work, title);
  for (const part of ['bin', 'lib', 'node/bin']) mkdirSync(join(folder, part), { recursive: true });
  const options = [
    '--no-audit',
    '--no-fund',
    '--ignore-scripts',
    '--omit=dev',
    '--prefix',
    join(folder, 'lib'),
  ];
  run('npm', ['install', ...options, join(target, `${name}-${version}.tgz`), ...forBuckets], work);
  cpSync(process.execPath, join(folder, 'node/bin/node'), { dereference: true });
  cpSync(licenceOfNode(), join(folder, 'node/LICENSE'), { dereference: true });
  for (const program of Object.keys(bin ?? {})) {
    writeFileSync(join(folder, 'bin', program), LAUNCHER);
    chmodSync(join(folder, 'bin', program), 0o755);
  }
  const archive = join(target, `${title}.tar.gz`);
  run('tar', ['-czf', archive, '-C', work, title], work);
  console.log(archive);
} finally {
  rmSync(work, { recursive: true, force: true });
}

/** Returns the file with the licences of Node and of what it contains, which a copy has to have. */
function licenceOfNode(): string {
  const root = dirname(dirname(realpathSync(process.execPath)));
  // In a release of nodejs.org; in Debian's package; in npm's package `node`.
  const places = ['LICENSE', 'share/doc/nodejs/copyright', 'node_modules/node-*/LICENSE'];
  const [file] = globSync(places.map((place) => join(root, place)));
  if (file === undefined) throw new Error(`no licence of Node in ${root}: use a Node of nodejs.org`);
  return file;
}
