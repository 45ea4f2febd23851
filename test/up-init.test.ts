import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { freePort } from '#base/network/listening-port';
import { runGit } from '#testkit/repositories/run-git';
import { run } from '#testkit/run-program';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { gitalyTs, startUp } from './start-up.ts';

const scratch = makeScratchDirectory('up-init');
after(() => rmSync(scratch, { recursive: true }));
const [file, data] = [join(scratch, 'etc/up.toml'), join(scratch, 'data')];

interface Finding {
  readonly subject: string;
  readonly level: string;
  readonly message: string;
}

async function doctor(
  target: string,
): Promise<{ readonly code: number | null; readonly findings: Finding[] }> {
  const { code, stdout } = await gitalyTs(['doctor', target, '--json']);
  return { code, findings: JSON.parse(stdout).findings };
}

const about = (findings: readonly Finding[], subject: string): string[] =>
  findings.filter((each) => each.subject === subject).map(({ level, message }) => `${level}: ${message}`);

test('init up makes a documented file that is valid, refuses strangers, and starts', async () => {
  const made = await gitalyTs(['init', 'up', file, '--directory', data]);
  const again = await gitalyTs(['init', 'up', file]);
  const text = readFileSync(file, 'utf8');
  const { stdout: help } = await gitalyTs(['up', '--help']);
  const options = [...help.matchAll(/^ {2}--(?:no-)?([a-z-]+)/gm)].map(([, name = '']) => name);

  assert.deepEqual([made.code, again.code], [0, 1]);
  assert.match(again.stderr, /up\.toml.*It is not overwritten/);
  assert.ok(options.length > 20);
  const missing = options.filter((name) => !new RegExp(`^#?${name.replaceAll('-', '_')} = `, 'm').test(text));
  assert.deepEqual(missing.sort(), ['config', 'json', 'token']);
  assert.equal((await gitalyTs(['config', 'check', file])).code, 0);
  // Each example is of the right type: only its value is refused, if at all.
  writeFileSync(join(scratch, 'all.toml'), text.replaceAll(/^#(\w+ = )/gm, '$1'));
  const { stderr } = await gitalyTs(['config', 'check', join(scratch, 'all.toml')]);
  assert.doesNotMatch(stderr, /expected (?:a string|an array|true)|does not exist|TOML/);

  const port = await freePort();
  writeFileSync(
    file,
    text.replace('"127.0.0.1:8080"', `"127.0.0.1:${port}"`).replace('"127.0.0.1:9237"', '"127.0.0.1:0"'),
  );
  const before = await doctor(file);
  await using up = await startUp({ args: ['--config', file] });
  const token = await gitalyTs(['token', 'create', 'ann', '--to', data, '--repository', '**']);
  const running = await doctor(file);

  assert.equal(before.code, 0, JSON.stringify(before.findings));
  assert.deepEqual(about(before.findings, 'http'), [`ok: 127.0.0.1:${port} is free`]);
  assert.deepEqual(about(running.findings, 'http'), [`ok: the running server uses 127.0.0.1:${port}`]);
  const lfs = about(running.findings, 'store of LFS');
  assert.deepEqual(lfs, ['ok: an object was written, read, listed and deleted']);
  assert.deepEqual(about(running.findings, 'log'), [`ok: ${data}/access.log is writable`]);
  const url = `${up.report.http}/hello.git`;
  await assert.rejects(runGit(['ls-remote', url]), /could not read Username/);
  await runGit(['ls-remote', url.replace('://', `://ann:${token.stdout.trim()}@`)]);
});

test('doctor accepts a directory that has people but was not used by a server yet', async () => {
  const [path, directory] = [join(scratch, 'people/up.toml'), join(scratch, 'people/data')];
  await gitalyTs(['init', 'up', path, '--directory', directory]);
  const added = await gitalyTs(['user', 'add', 'ann', '--access', 'admin', '--token', '--to', directory]);

  const { findings } = await doctor(path);

  assert.equal(added.code, 0, added.stderr);
  assert.deepEqual(about(findings, 'directory'), [`ok: ${directory} is writable`]);
});

test('doctor finds an expired certificate, a used port and a log that cannot be written', async () => {
  const [certificate, key] = [join(scratch, 'cert.pem'), join(scratch, 'key.pem')];
  const { code } = await run('openssl', [
    ...['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-subj', '/CN=localhost', '-days', '3'],
    ...['-keyout', key, '-out', certificate],
  ]);
  assert.equal(code, 0);
  await using other = createServer().listen(0, '127.0.0.1');
  await once(other, 'listening');
  const address = other.address();
  assert.ok(typeof address === 'object' && address !== null);
  const path = join(scratch, 'bad.toml');
  writeFileSync(
    path,
    `directory = "new"\nhttp = "127.0.0.1:${address.port}"\ntls_cert = "cert.pem"\ntls_key = "key.pem"\n` +
      'log = "/nonexistent/access.log"\nlfs = "s4://bucket"\n',
  );

  const { findings } = await doctor(path);
  writeFileSync(path, 'htpp = "x"\n\nssh = 1\n');
  const wrong = await doctor(path);

  assert.match(about(findings, 'certificate')[0] ?? '', /^warning: .* is valid until /);
  assert.match(about(findings, 'http')[0] ?? '', /^error: another program listens on /);
  assert.match(about(findings, 'store of LFS')[0] ?? '', /^error: buckets of the kind "s4"/);
  assert.match(about(findings, 'log')[0] ?? '', /^error: \/nonexistent: no such file/);
  assert.deepEqual(
    about(wrong.findings, 'configuration').map((line) => /:(\d+): (\w+):/.exec(line)?.slice(1)),
    [
      ['1', 'htpp'],
      ['3', 'ssh'],
    ],
  );
  assert.equal(wrong.code, 1);
});
