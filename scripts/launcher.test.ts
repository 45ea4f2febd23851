import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { test } from 'node:test';
import { HEAP_OPTIONS } from '#testkit/programs/program-command';

const ROOT = join(import.meta.dirname, '..');
const REPORT =
  'const { execPath: node, execArgv: options, title, argv } = process;\n' +
  'console.log(JSON.stringify({ node, options, title, args: argv.slice(2), cwd: process.cwd() }));\n';

/**
 * Returns a clone with the launchers, a built program that reports how it was started, and another
 * folder to start it from.
 */
function arrange() {
  const root = mkdtempSync(join(tmpdir(), 'gitaly-launcher-'));
  for (const folder of [
    'clone/dist/cli/bin',
    'clone/.node/node_modules/.bin',
    'only-node',
    'old',
    'elsewhere/deep',
  ])
    mkdirSync(join(root, folder), { recursive: true });
  cpSync(join(ROOT, 'bin'), join(root, 'clone/bin'), { recursive: true });
  for (const name of ['gitaly', 'gitaly-backup', 'gitaly-ts', 'praefect'])
    writeFileSync(join(root, `clone/dist/cli/bin/${name}.js`), REPORT);
  writeFileSync(join(root, 'old/node'), '#!/bin/sh\necho v20.1.0\n', { mode: 0o755 });
  symlinkSync(process.execPath, join(root, 'only-node/node'));
  const usual = [join(process.execPath, '..'), '/usr/bin', '/bin'].join(delimiter);
  const start = (program: string, PATH = usual, args: readonly string[] = ['serve', 'a b']) => {
    const run = spawnSync(join(root, program), args, {
      cwd: join(root, 'elsewhere'),
      encoding: 'utf8',
      env: { PATH },
    });
    return { status: run.status, stdout: run.stdout, stderr: run.stderr };
  };
  return { root, start, [Symbol.dispose]: () => rmSync(root, { recursive: true }) };
}

test('a launcher works from any directory and passes its arguments on', () => {
  using clone = arrange();

  const { status, stdout } = clone.start('clone/bin/gitaly');

  assert.equal(status, 0);
  assert.deepEqual(JSON.parse(stdout).args, ['serve', 'a b']);
  assert.equal(JSON.parse(stdout).cwd, join(clone.root, 'elsewhere'));
});

test('a launcher limits the growth of the heap, as tests do', () => {
  using clone = arrange();

  const { stdout } = clone.start('clone/bin/praefect');

  assert.deepEqual(JSON.parse(stdout).options, [...HEAP_OPTIONS, '--title=praefect']);
});

// Symptom: a backup to S3 needed 150 MB of resident memory.
test('a launcher gives backups a smaller young generation than servers', () => {
  using clone = arrange();
  const young = (name: string, ...args: string[]): unknown =>
    JSON.parse(clone.start(`clone/bin/${name}`, undefined, args).stdout).options[0];

  const [server = ''] = HEAP_OPTIONS;
  const backup = '--max-semi-space-size=2';
  assert.deepEqual(
    [young('gitaly-backup', 'create'), young('gitaly-ts', 'backup', 'create'), young('gitaly-ts', 'up')],
    [backup, backup, server],
  );
  assert.equal(young('gitaly-ts'), server);
});

test('a launcher works through symlinks, relative and absolute, under another name', () => {
  using clone = arrange();
  symlinkSync('../../clone/bin/gitaly', join(clone.root, 'elsewhere/deep/relative'));
  symlinkSync(join(clone.root, 'elsewhere/deep/relative'), join(clone.root, 'elsewhere/other-name'));

  const { status, stdout } = clone.start('elsewhere/other-name');

  assert.equal(status, 0);
  assert.equal(JSON.parse(stdout).title, 'other-name');
});

test("the project's own Node comes first", () => {
  using clone = arrange();
  symlinkSync(process.execPath, join(clone.root, 'clone/.node/node_modules/.bin/node'));

  const { status, stdout } = clone.start('clone/bin/gitaly', join(clone.root, 'old'));

  assert.equal(status, 0);
  assert.deepEqual(JSON.parse(stdout).args, ['serve', 'a b']);
});

test('a launcher starts no program but Node', () => {
  using clone = arrange();

  const { status, stdout, stderr } = clone.start('clone/bin/gitaly', join(clone.root, 'only-node'));

  assert.deepEqual({ status, stderr }, { status: 0, stderr: '' });
  assert.deepEqual(JSON.parse(stdout).args, ['serve', 'a b']);
});

test('without a Node the launcher prints a remedy', () => {
  using clone = arrange();

  const { status, stderr } = clone.start('clone/bin/gitaly', clone.root);

  assert.equal(status, 1);
  assert.match(stderr, /^gitaly: found no Node: run "make build" in /);
});

test('without a build the launcher prints a remedy', () => {
  using clone = arrange();

  const { status, stderr } = clone.start('clone/bin/gitaly-ssh');

  assert.equal(status, 1);
  assert.match(stderr, /^gitaly-ssh: .*dist\/cli\/bin\/gitaly-ssh\.js is missing: run "make build" in /);
});

test('every launcher has a program in the package and is the same script', () => {
  const { bin } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
  const names = readdirSync(join(ROOT, 'bin'));

  assert.deepEqual(names.sort(), Object.keys(bin).sort());
  for (const name of names) {
    assert.equal(bin[name], `dist/cli/bin/${name}.js`);
    assert.equal(
      readFileSync(join(ROOT, 'bin', name), 'utf8'),
      readFileSync(join(ROOT, 'bin/gitaly'), 'utf8'),
    );
  }
});
