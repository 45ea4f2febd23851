import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { NO_OPENSSH } from '#testkit/clients/ssh-client';
import { run } from '#testkit/run-program';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { followTeamServer } from '../docs/follow-team-server.ts';
import { offline, ROOT } from '../newcomer/registry.ts';
import { workAsTeam } from '../team/work-as-team.ts';

const BUILD_LIMIT_MS = 10 * 60_000;
/** Days of work in each of four weeks. */
const TEAM_DAYS = 5;
const directory = makeScratchDirectory('archive');
const skip = await offline();
const hasDpkg = (await run('dpkg-deb', ['--version']).catch(() => undefined))?.code === 0;
const manifest = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
const programs = Object.keys(manifest.bin);

/** Runs a script of the project and returns the last line that it prints. */
async function make(script: string): Promise<string> {
  const args = [join(ROOT, 'scripts', script), directory];
  const { code, stdout, stderr } = await run(process.execPath, args, {
    cwd: ROOT,
    timeoutMs: BUILD_LIMIT_MS,
  });
  assert.equal(code, 0, stderr);
  return stdout.trim().split('\n').at(-1) ?? '';
}

async function output(program: string, ...args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await run(program, args, { cwd: directory });
  assert.equal(code, 0, stderr);
  return stdout;
}

/** Makes a directory with git, sh and a few tools, but no Node: not even an old one. */
async function pathWithoutNode(): Promise<string> {
  const tools = join(directory, 'tools');
  mkdirSync(tools, { recursive: true });
  for (const name of ['sh', 'git', 'readlink', 'dirname', 'basename', 'sed', 'cat', 'rm', 'mkdir']) {
    const { stdout } = await run('sh', ['-c', `command -v ${name}`]);
    symlinkSync(stdout.trim(), join(tools, name));
  }
  return tools;
}

suite('the archive with Node', { skip }, () => {
  let archive = '';
  let tools = '';
  before(async () => {
    await make('make-packages.ts');
    archive = await make('make-archive.ts');
    tools = await pathWithoutNode();
  });
  after(() => rmSync(directory, { recursive: true, force: true }));

  test('runs on a machine without Node, through links too', async () => {
    await output('tar', '-xzf', archive, '-C', directory);
    symlinkSync(join(archive.replace(/\.tar\.gz$/, ''), 'bin/gitaly-ts'), join(directory, 'gitaly-ts'));

    const doctor = await run(join(directory, 'gitaly-ts'), ['doctor', '--json'], { env: { PATH: tools } });

    const { findings } = JSON.parse(doctor.stdout);
    const node = findings.find(({ subject }: { subject: string }) => subject === 'node');
    assert.deepEqual([node.level, node.message], ['ok', process.version]);
    const licence = readFileSync(join(archive.replace(/\.tar\.gz$/, ''), 'node/LICENSE'), 'utf8');
    assert.match(licence, /^Node\.js is licensed for use as follows:/);
    assert.equal(doctor.code, 0, doctor.stdout);
  });

  test('as a Debian package has programs, units, manual pages and configurations', {
    skip: !hasDpkg && 'there is no dpkg-deb',
  }, async () => {
    const deb = await make('make-deb.ts');
    const root = join(directory, 'root');

    const fields = await output('dpkg-deb', '--field', deb);
    const contents = await output('dpkg-deb', '--contents', deb);
    await output('dpkg-deb', '--extract', deb, root);
    await output('dpkg-deb', '--control', deb, join(directory, 'control'));

    assert.match(fields, /^Package: gitaly-ts$/m);
    assert.match(fields, /^Depends: git \(>= 1:2\.39\), /m);
    // All files belong to root; only the configurations, which may have tokens, are private.
    const lines = contents.trim().split('\n');
    assert.deepEqual(
      lines.filter((line) => !/^\S+ root\/root /.test(line)),
      [],
    );
    const isPrivate = (line: string): boolean => line.startsWith('-rw-r-----');
    assert.deepEqual(
      lines.filter(isPrivate).map((line) => line.split(' ').at(-1)),
      ['./etc/gitaly/config.toml', './etc/praefect/praefect.toml'],
    );
    const conffiles = readFileSync(join(directory, 'control/conffiles'), 'utf8');
    assert.equal(
      conffiles,
      '/etc/gitaly/config.toml\n/etc/praefect/praefect.toml\n/etc/logrotate.d/gitaly-ts\n',
    );
    for (const program of programs) {
      assert.ok(contents.includes(` ./usr/bin/${program} -> ../lib/gitaly-ts/bin/${program}\n`), program);
      assert.ok(contents.includes(` ./usr/share/man/man1/${program}.1.gz\n`), program);
    }
    const backup = readFileSync(join(root, 'usr/lib/systemd/system/gitaly-backup.service'), 'utf8');
    assert.match(backup, /^ExecStart=\/usr\/bin\/gitaly-ts backup /m);
    assert.ok(contents.includes(' ./usr/lib/systemd/system/gitaly-backup.timer\n'));
    for (const unit of ['gitaly-ts.service', 'gitaly-ts-backup.service', 'gitaly-ts-backup.timer'])
      assert.ok(contents.includes(` ./usr/lib/systemd/system/${unit}\n`), unit);
    for (const server of ['gitaly', 'gitaly-ts', 'praefect']) {
      const unit = readFileSync(join(root, `usr/lib/systemd/system/${server}.service`), 'utf8');
      assert.match(unit, new RegExp(`^ExecStart=/usr/bin/${server} `, 'm'));
      const version = await run(join(root, 'usr/bin', server), ['--version'], { env: { PATH: tools } });
      assert.match(version.stdout, new RegExp(`^${server}, version `, 'i'), version.stderr);
    }
    chmodSync(directory, 0o755); // for another user
    if (!NO_OPENSSH) await followTeamServer(join(root, 'usr/bin/gitaly-ts'));
  });

  test('five people lose nothing on a server of the Debian package', {
    skip: (!hasDpkg && 'there is no dpkg-deb') || NO_OPENSSH,
  }, async (t) => {
    await workAsTeam(t, [join(directory, 'root/usr/bin/gitaly-ts')], TEAM_DAYS);
  });

  for (const script of ['postinst', 'prerm', 'postrm']) {
    test(`the script ${script} of the Debian package is valid shell`, async () => {
      await output('sh', '-n', join(ROOT, 'deploy/debian', script));
    });
  }
});
