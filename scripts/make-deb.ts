/**
 * Makes a Debian package of the archive that `make-archive.ts` has made: the programs with Node in
 * `/usr/lib/gitaly-ts`, links in `/usr/bin`, manual pages, systemd units and configurations. Prints
 * its path.
 *
 *   node scripts/make-deb.ts [DIRECTORY]     default: packages/, with the archive in it
 */
import {
  chmodSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import { gzipSync } from 'node:zlib';
import { rootManifest } from './packages/manifest.ts';
import { ROOT, run } from './packages/run.ts';

const ARCHITECTURES: Readonly<Record<string, string>> = { x64: 'amd64', arm64: 'arm64', arm: 'armhf' };
const UNITS = [
  'gitaly.service',
  'gitaly.socket',
  'praefect.service',
  'gitaly-backup.service',
  'gitaly-backup.timer',
  'gitaly-ts.service',
  'gitaly-ts-backup.service',
  'gitaly-ts-backup.timer',
];
/** Configurations by the files they come from. dpkg keeps changes that the administrator made. */
const CONFIGURATIONS = {
  '/etc/gitaly/config.toml': 'deploy/config.toml',
  '/etc/praefect/praefect.toml': 'deploy/praefect.toml',
};
/** Rotation of the access log; also one that dpkg keeps. */
const ROTATION = '/etc/logrotate.d/gitaly-ts';
/** Node's libraries, the oldest that its builds run with, and the oldest git. */
const DEPENDS = 'git (>= 1:2.39), libc6 (>= 2.28), libstdc++6, passwd';

const target = resolve(process.argv[2] ?? 'packages');
const { name, version, description, bin } = rootManifest();
const architecture = ARCHITECTURES[process.arch];
if (process.platform !== 'linux' || architecture === undefined)
  throw new Error(`there are no Debian packages for ${process.platform}-${process.arch}`);
const debianVersion = version.replace('-', '~'); // 1.0.0-rc.1 sorts before 1.0.0
const work = mkdtempSync(join(tmpdir(), 'gitaly-deb-'));
try {
  const root = join(work, 'root');
  stagePrograms(root);
  stageManual(root);
  stageSystem(root);
  stageControl(root);
  const file = join(target, `${name}_${debianVersion}_${architecture}.deb`);
  run('dpkg-deb', ['--root-owner-group', '-Zgzip', '--build', root, file], work);
  console.log(file);
} finally {
  rmSync(work, { recursive: true, force: true });
}

/** Writes a file of the package, whose path begins with `/`, and creates its directory. */
function put(root: string, path: string, content: string | Buffer, mode = 0o644): void {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), content);
  chmodSync(join(root, path), mode);
}

function stagePrograms(root: string): void {
  const title = `${name}-${version}-${process.platform}-${process.arch}`;
  const home = join(root, 'usr/lib', name);
  mkdirSync(home, { recursive: true });
  run('tar', ['-xzf', join(target, `${title}.tar.gz`), '-C', home, '--strip-components=1'], work);
  mkdirSync(join(root, 'usr/bin'));
  for (const program of Object.keys(bin ?? {}))
    symlinkSync(`../lib/${name}/bin/${program}`, join(root, 'usr/bin', program));
}

function stageManual(root: string): void {
  const documents = `/usr/share/doc/${name}`;
  for (const program of Object.keys(bin ?? {}))
    put(root, `/usr/share/man/man1/${program}.1.gz`, compressed(`man/${program}.1`));
  put(root, `${documents}/changelog.gz`, compressed('CHANGELOG.md'));
  put(root, `${documents}/copyright`, readFileSync(join(ROOT, 'LICENSE')));
  for (const file of ['NOTICE', 'LICENSE-Apache-2.0'])
    put(root, `${documents}/${file}`, readFileSync(join(ROOT, file)));
}

function compressed(path: string): Buffer {
  return gzipSync(readFileSync(join(ROOT, path)), { level: 9 });
}

function stageSystem(root: string): void {
  for (const unit of UNITS) {
    const text = readFileSync(join(ROOT, 'deploy/systemd', unit), 'utf8');
    // The comments at the top are about an installation by hand.
    const own = text.slice(text.indexOf('[Unit]')).replaceAll('/usr/local/bin/', '/usr/bin/');
    put(root, `/usr/lib/systemd/system/${unit}`, own);
  }
  for (const [path, source] of Object.entries(CONFIGURATIONS))
    put(root, path, readFileSync(join(ROOT, source)), 0o640);
  put(root, ROTATION, readFileSync(join(ROOT, 'deploy/logrotate/gitaly-ts')));
}

function stageControl(root: string): void {
  const kibibytes = Number(run('du', ['-sk', root], work).split('\t')[0]);
  put(
    root,
    '/DEBIAN/control',
    `Package: ${name}
Version: ${debianVersion}
Architecture: ${architecture}
Maintainer: ${name} contributors <noreply@localhost>
Installed-Size: ${kibibytes}
Depends: ${DEPENDS}
Section: vcs
Priority: optional
Description: ${description}
 The server gitaly, the cluster manager praefect, gateways for HTTP and SSH,
 and their tools. Node is included.
`,
  );
  put(root, '/DEBIAN/conffiles', `${[...Object.keys(CONFIGURATIONS), ROTATION].join('\n')}\n`);
  for (const script of ['postinst', 'prerm', 'postrm']) {
    const source = join(ROOT, 'deploy/debian', script);
    cpSync(source, join(root, 'DEBIAN', basename(source)));
    chmodSync(join(root, 'DEBIAN', script), 0o755);
  }
}
