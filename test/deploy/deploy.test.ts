import assert from 'node:assert/strict';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { after, test } from 'node:test';
import { loadConfig } from '#platform/config/load-config';
import { loadPraefectConfig } from '#praefect/config/load-praefect-config';
import { run } from '#testkit/run-program';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { gitalyTs } from '../start-up.ts';
import { layOutMachine, TOKEN } from './machine-root.ts';

const ROOT = join(import.meta.dirname, '../..');
const DEPLOY = join(ROOT, 'deploy');
const SERVICES = ['gitaly', 'praefect'];
/** Exposure of a unit by systemd's count, in tenths; 100 is no protection. */
const MAX_EXPOSURE = 20;

const directory = makeScratchDirectory('deploy');
after(() => rmSync(directory, { recursive: true, force: true }));

async function succeeds(program: string, ...args: readonly string[]): Promise<boolean> {
  const result = await run(program, args, { cwd: ROOT }).catch(() => undefined); // there is no such program
  return result?.code === 0;
}

const noSystemd = !(await succeeds('systemd-analyze', '--version')) && 'there is no systemd-analyze';
const noCompose = !(await succeeds('docker', 'compose', 'version')) && 'there is no docker compose';
const noMan = !(await succeeds('man', '--version')) && 'there is no man';

test('systemd accepts the units', { skip: noSystemd }, async () => {
  const servers = ['gitaly.service', 'gitaly.socket', 'gitaly-ts.service', 'praefect.service'];
  const timers = ['gitaly-backup', 'gitaly-ts-backup'].flatMap((name) => [
    `${name}.service`,
    `${name}.timer`,
  ]);
  const units = [...servers, ...timers];
  for (const name of units) {
    const unit = readFileSync(join(DEPLOY, 'systemd', name), 'utf8');
    // The program and its manual page need not be installed here.
    const text = unit.replace(/\/usr\/local\/bin\/[\w-]+/g, '/bin/true').replace(/^Documentation=.*\n/m, '');
    writeFileSync(join(directory, name), text);
  }

  const paths = units.map((name) => join(directory, name));
  const { code, stdout, stderr } = await run('systemd-analyze', ['verify', ...paths]);

  assert.deepEqual([code, stdout + stderr], [0, '']);
});

test('the socket unit listens where the configuration does, by the name of that listener', async () => {
  const unit = readFileSync(join(DEPLOY, 'systemd/gitaly.socket'), 'utf8');
  const config = readFileSync(join(DEPLOY, 'config.toml'), 'utf8');

  const path = /^ListenStream=(.*)$/m.exec(unit)?.[1];
  assert.equal(path, /^socket_path = "(.*)"$/m.exec(config)?.[1]);
  assert.match(unit, /^FileDescriptorName=unix$/m);
});

for (const name of [...SERVICES, 'gitaly-backup', 'gitaly-ts', 'gitaly-ts-backup']) {
  const path = join(DEPLOY, `systemd/${name}.service`);

  test(`${name}.service takes from the server what it does not need`, { skip: noSystemd }, async () => {
    const options = ['--offline=true', `--threshold=${MAX_EXPOSURE}`];

    const { code, stdout, stderr } = await run('systemd-analyze', ['security', ...options, path]);

    assert.equal(code, 0, stdout + stderr);
  });
}

for (const name of SERVICES) {
  const path = join(DEPLOY, `systemd/${name}.service`);

  test(`a reload of ${name}.service is a restart that refuses no call`, () => {
    const unit = readFileSync(path, 'utf8');

    assert.match(unit, /^Type=notify$/m);
    assert.match(unit, /^Environment=GITALY_UPGRADES_ENABLED=true$/m);
    assert.match(unit, /^ExecReload=\/bin\/kill -HUP \$MAINPID$/m);
  });
}

test('every key of deploy/praefect.toml is known, and its socket is in a directory of the unit', async () => {
  const path = join(DEPLOY, 'praefect.toml');
  const unit = readFileSync(join(DEPLOY, 'systemd/praefect.service'), 'utf8');

  const { config, warnings } = await loadPraefectConfig(path);

  assert.deepEqual(warnings, []);
  const folder = /^RuntimeDirectory=(.*)$/m.exec(unit)?.[1];
  assert.equal(config.socketPath, `/run/${folder}/praefect.socket`);
});

for (const file of ['config.toml', 'docker/config.toml']) {
  test(`every key of deploy/${file} is known and valid`, async () => {
    const text = readFileSync(join(DEPLOY, file), 'utf8');
    const path = layOutMachine(join(directory, file.replace('/', '-')), text);

    const { auth, warnings } = await loadConfig(path);

    assert.deepEqual(warnings, []);
    assert.equal(auth.token?.reveal(), file === 'config.toml' ? undefined : TOKEN);
  });
}

test('a container without a token does not start', async () => {
  const path = layOutMachine(
    join(directory, 'no-token'),
    readFileSync(join(DEPLOY, 'docker/config.toml'), 'utf8'),
  );
  const secret = join(directory, 'no-token/run/secrets/gitaly_token');
  writeFileSync(secret, '\n');

  await assert.rejects(loadConfig(path), /gitaly_token is empty: write the token of the clients into it/);

  rmSync(secret);
  await assert.rejects(loadConfig(path), /gitaly_token.*No such file/);
});

test('man formats every manual page without a warning', { skip: noMan }, async () => {
  const { bin } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
  for (const program of Object.keys(bin)) {
    const page = join(ROOT, `man/${program}.1`);
    const { code, stdout, stderr } = await run('man', ['--warnings', '--local-file', page], {
      env: { MANWIDTH: '120', MANPAGER: 'cat', LC_ALL: 'C.UTF-8' },
    });
    assert.deepEqual([code, stderr], [0, ''], page);
    assert.match(stdout, new RegExp(`NAME\\s+${program} - \\S`), page);
  }
});

for (const file of ['compose.yaml', 'up/compose.yaml']) {
  test(`docker compose accepts deploy/docker/${file}`, { skip: noCompose }, async () => {
    const path = join('deploy/docker', file);
    assert.ok(await succeeds('docker', 'compose', '--file', path, 'config', '--quiet'));
  });
}

test('the unit of gitaly-ts starts what "gitaly-ts init up" makes, and writes where it may', async () => {
  const unit = readFileSync(join(DEPLOY, 'systemd/gitaly-ts.service'), 'utf8');
  const rotation = readFileSync(join(DEPLOY, 'logrotate/gitaly-ts'), 'utf8');
  const { stdout: help } = await gitalyTs(['init', 'up', '--help']);
  const path = join(directory, 'up.toml');
  await gitalyTs(['init', 'up', path]);
  const text = readFileSync(path, 'utf8');

  const [, config = ''] = /^ExecStart=\/usr\/local\/bin\/gitaly-ts up --config (.*)$/m.exec(unit) ?? [];
  assert.ok(help.replaceAll(/\s+/g, ' ').includes(`(default: "${config}")`));
  assert.match(unit, new RegExp(`^AssertPathExists=${config}$`, 'm'));
  assert.equal(
    /^directory = "(.*)"$/m.exec(text)?.[1],
    `/var/lib/${/^StateDirectory=(.*)$/m.exec(unit)?.[1]}`,
  );
  const log = /^log = "(.*)"$/m.exec(text)?.[1] ?? '';
  assert.equal(dirname(log), `/var/log/${/^LogsDirectory=(.*)$/m.exec(unit)?.[1]}`);
  assert.ok(rotation.includes(`${dirname(log)}/*.log {`));
});

for (const file of ['docker/up/up.toml']) {
  test(`gitaly-ts accepts deploy/${file}`, async () => {
    const { code, stderr } = await gitalyTs(['config', 'check', join(DEPLOY, file)]);

    assert.deepEqual([code, stderr], [0, '']);
  });
}
