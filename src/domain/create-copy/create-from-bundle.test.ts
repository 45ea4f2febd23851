import assert from 'node:assert/strict';
import {
  appendFileSync,
  createReadStream,
  existsSync,
  readdirSync,
  readFileSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { gitBytesSync } from '#testkit/repositories/git-bytes-sync';
import { StorageFixture } from '#testkit/repositories/storage-fixture';
import { createFromBundle } from './create-from-bundle.ts';

const { signal } = new AbortController();
const TARGET = { storageName: 'default', relativePath: 'target.git' };
/** Number of references with which a header is long. */
const MANY = 1000;

interface Case {
  /** Changes the repository before its bundle is made. */
  readonly prepare?: (git: (...args: string[]) => string) => void;
  /** Changes the lines of the bundle's header. Default: as git writes them. */
  readonly edit?: (lines: string[]) => string[];
  readonly objectFormat?: 'sha1' | 'sha256';
  /** The commands that clone; default: that HEAD is cloned, and the references are written. */
  readonly commands?: readonly string[];
}

const isHead = (line: string): boolean => line.endsWith(' HEAD');
const CASES: Readonly<Record<string, Case>> = {
  'HEAD at main': {},
  'SHA-256 ids': { objectFormat: 'sha256' },
  'HEAD at master and other branches': {
    prepare: (git) => {
      for (const name of ['a', 'master', 'z']) git('branch', name, 'main');
    },
  },
  'HEAD at several branches': {
    prepare: (git) => {
      for (const name of ['b/c', 'a', 'z']) git('branch', name, 'main~1');
      git('symbolic-ref', 'HEAD', 'refs/heads/z');
    },
  },
  'HEAD at no branch': { prepare: (git) => git('update-ref', '--no-deref', 'HEAD', 'main~2') },
  'no HEAD': { edit: (lines) => lines.filter((line) => !isHead(line)) },
  'HEAD in the middle': {
    edit: (lines) => lines.filter((line) => !isHead(line)).toSpliced(2, 0, ...lines.filter(isHead)),
  },
  'more branches at HEAD than are cloned alone': {
    prepare: (git) => {
      addPacked(git('rev-parse', '--absolute-git-dir'), 'refs/heads/x', git('rev-parse', 'main'), 1100);
    },
    commands: ['clone'],
  },
  'names in another order': {
    edit: (lines) => lines.toSorted((one, other) => (other > one ? 1 : -1)),
    commands: ['clone'],
  },
  'a name that git ignores': {
    edit: (lines) => [lines[0]?.replace(/refs.*/, 'refs/heads/a..b') ?? '', ...lines],
    commands: ['clone'],
  },
  'a branch of a tag': {
    edit: (lines) => {
      const tag = lines.find((line) => line.endsWith('refs/tags/annotated')) ?? '';
      return [`${tag.split(' ')[0]} refs/heads/a-tag`, ...lines];
    },
    commands: ['clone', 'rev-list', 'cat-file', 'clone'],
  },
};

/** Appends references to packed-refs, whose order git does not need without a header. */
function addPacked(path: string, prefix: string, oid: string, count: number): void {
  const lines = Array.from({ length: count }, (_, index) => `${oid} ${prefix}/${index}\n`);
  appendFileSync(join(path, 'packed-refs'), lines.join(''));
}

/** Makes a bundle of a repository with references of all kinds. */
function makeBundle(
  fixture: StorageFixture,
  { prepare, edit, objectFormat = 'sha1' }: Omit<Case, 'commands'>,
): string {
  const { path } = fixture.init('source.git', { commits: 3, objectFormat });
  const git = (...args: string[]): string => fixture.runGit(path, args);
  git('tag', '-a', '-m', 'one', 'annotated', 'main~1');
  git('update-ref', 'refs/misc/tree', 'main^{tree}');
  const main = git('rev-parse', 'main~1');
  addPacked(path, 'refs/pipelines', main, MANY);
  prepare?.(git);
  const bundle = join(fixture.root, 'x.bundle');
  git('bundle', 'create', '--quiet', bundle, '--all');
  if (edit !== undefined) editHeader(bundle, edit);
  return bundle;
}

/** Changes the lines with references of a bundle's header. */
function editHeader(bundle: string, edit: (lines: string[]) => string[]): void {
  const bytes = readFileSync(bundle);
  const end = bytes.indexOf('\n\n');
  const [signature = '', ...lines] = bytes.toString('latin1', 0, end).split('\n');
  const text = [signature, ...edit(lines)].join('\n');
  writeFileSync(bundle, Buffer.concat([Buffer.from(text, 'latin1'), bytes.subarray(end)]));
}

/** Returns all of a repository that a clone has determined. */
function contentsOf(path: string) {
  const text = (...args: string[]): string => gitBytesSync(path, args).toString('latin1');
  return {
    head: readFileSync(join(path, 'HEAD'), 'latin1'),
    config: text('config', '--list', '--local')
      .split('\n')
      .filter((line) => !line.startsWith('remote.')),
    packed: readFileSync(join(path, 'packed-refs'), 'latin1'),
    refs: text('for-each-ref', '--format=%(refname) %(objectname) %(symref)'),
    objects: text('cat-file', '--batch-all-objects', '--batch-check'),
    files: readdirSync(path, { recursive: true })
      .map(String)
      .filter((name) => !name.startsWith('objects/') && !name.startsWith('.gitaly'))
      .sort(),
  };
}

/** Starts a fixture whose git logs its commands. */
async function startLogged() {
  const directory = await StorageFixture.create();
  const log = join(directory.root, 'log');
  const binary = join(directory.root, 'git');
  writeFileSync(binary, `#!/bin/sh\necho "$*" >> '${log}'\nexec git "$@"\n`, { mode: 0o755 });
  const fixture = await StorageFixture.create({ binary });
  const commands = (): string[] =>
    readFileSync(log, 'latin1')
      .split('\n')
      .flatMap((line) => / (cat-file|clone|rev-list) /.exec(line)?.[1] ?? []);
  return {
    fixture,
    commands,
    async [Symbol.asyncDispose]() {
      await fixture[Symbol.asyncDispose]();
      await directory[Symbol.asyncDispose]();
    },
  };
}

for (const [name, made] of Object.entries(CASES))
  test(`a repository of a bundle with many references is as git clones it: ${name}`, async () => {
    await using logged = await startLogged();
    const { fixture, commands } = logged;
    const bundle = makeBundle(fixture, made);
    const expected = join(fixture.root, 'expected.git');
    const options = ['clone', '--quiet', '--mirror', '--template='];
    fixture.runGit(fixture.root, [...options, bundle, expected]);

    await createFromBundle(fixture.storages, TARGET, createReadStream(bundle), { signal });

    const created = join(fixture.storage.path, TARGET.relativePath);
    assert.deepEqual(contentsOf(created), contentsOf(expected));
    assert.deepEqual(commands(), made.commands ?? ['clone', 'rev-list', 'cat-file']);
  });

const REFUSED: Readonly<Record<string, (lines: string[]) => string[]>> = {
  'an object that is missing': (lines) => [...lines, `${'ab'.repeat(20)} refs/z`],
  'a prerequisite': (lines) => [`-${'ab'.repeat(20)} x`, ...lines],
};

for (const [name, change] of Object.entries(REFUSED))
  test(`a bundle with many references that git refuses creates nothing: ${name}`, async () => {
    await using logged = await startLogged();
    const { fixture } = logged;
    const bundle = makeBundle(fixture, { edit: change });
    const clone = ['clone', '--quiet', '--mirror', bundle, join(fixture.root, 'expected.git')];
    assert.throws(() => fixture.runGit(fixture.root, clone), /exit code 128/);

    const creating = createFromBundle(fixture.storages, TARGET, createReadStream(bundle), { signal });

    await assert.rejects(creating, { message: 'cloning bundle: waiting for git-clone: exit status 128' });
    assert.ok(!existsSync(join(fixture.storage.path, TARGET.relativePath)));
    assert.deepEqual(readdirSync(join(fixture.storage.path, '+gitaly/tmp')), []);
  });

test('a header that is too long for memory is read from a file', async () => {
  await using logged = await startLogged();
  const { fixture, commands } = logged;
  const deep = Array.from({ length: 7 }, () => 'd'.repeat(250)).join('/');
  const edit = (lines: string[]) => {
    const oid = lines[0]?.slice(0, lines[0].indexOf(' '));
    const names = Array.from({ length: 9600 }, (_, index) => `${oid} refs/x/${deep}/${10_000 + index}`);
    return [...lines.filter((line) => !isHead(line)), ...names, ...lines.filter(isHead)];
  };
  const bundle = makeBundle(fixture, { edit });

  await createFromBundle(fixture.storages, TARGET, createReadStream(bundle), { signal });

  const created = join(fixture.storage.path, TARGET.relativePath);
  const header = readFileSync(bundle).toString('latin1').split('\n\n')[0] ?? '';
  assert.ok(header.length > 16 * 1024 * 1024, `${header.length}`);
  const packed = readFileSync(join(created, 'packed-refs'), 'latin1').split('\n');
  assert.deepEqual(
    packed.filter((line) => line.includes(' refs/')),
    header.split('\n').filter((line) => line.includes(' refs/')),
  );
  assert.deepEqual(commands(), ['clone', 'rev-list', 'cat-file']);
});
