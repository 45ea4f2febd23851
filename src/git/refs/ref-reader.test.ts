import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fc } from '#testkit/fast-check';
import { GitFixture } from '#testkit/repositories/git-fixture';
import { referenceBackends } from '#testkit/repositories/init-repository';
import { writePackedRefs } from '#testkit/repositories/packed-refs';
import { outputSync, runSync } from '#testkit/run-program-sync';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { trustedRefName } from '../names/ref-name.ts';
import type { GitRepository } from '../repository.ts';
import { GitRefs } from './git/git-refs.ts';

const directory = makeScratchDirectory('refs');
const started: string[] = [];
const git = await GitFixture.start({ observer: ({ subcommand }) => void started.push(subcommand) });
after(async () => {
  await git.close();
  rmSync(directory, { recursive: true });
});

let count = 0;

/** Creates a bare repository with three commits; returns their ids. */
function createRepository(...options: string[]): {
  repository: GitRepository;
  commits: string[];
  run: (...args: string[]) => string;
} {
  const path = join(directory, `${count++}.git`);
  outputSync('git', ['init', '--quiet', '--bare', '--initial-branch=main', ...options, path]);
  const run = (...args: string[]): string =>
    outputSync('git', ['--git-dir', path, ...args], { env: ENV })
      .toString('latin1')
      .trim();
  const tree = run('hash-object', '-t', 'tree', '-w', '/dev/null');
  const commits = ['one', 'two', 'three'].map((message) => run('commit-tree', '-m', message, tree));
  return {
    repository: git.open(path),
    commits,
    run,
  };
}

/** An older git has no such option. */
const refFormatOptions = (backend: string): string[] =>
  backend === 'files' ? [] : [`--ref-format=${backend}`];

const ENV = {
  PATH: process.env.PATH,
  GIT_CONFIG_GLOBAL: '/dev/null',
  GIT_CONFIG_SYSTEM: '/dev/null',
  GIT_AUTHOR_NAME: 'A',
  GIT_AUTHOR_EMAIL: 'a@x',
  GIT_COMMITTER_NAME: 'A',
  GIT_COMMITTER_EMAIL: 'a@x',
};

/** Returns the id to which git resolves a reference. */
function askGit(path: string, name: string): string | undefined {
  const { code, stdout } = runSync('git', ['--git-dir', path, 'show-ref', '--verify', '--hash', name]);
  return code === 0 ? stdout.toString('latin1').trim() : undefined;
}

for (const format of ['sha1', 'sha256']) {
  test(`all kinds of references of a ${format} repository resolve as in git`, async () => {
    const { repository, commits, run } = createRepository(`--object-format=${format}`);
    const refs = repository.refs;
    run('update-ref', 'refs/heads/packed', commits[0] ?? '');
    run('update-ref', 'refs/heads/both', commits[0] ?? '');
    run('tag', '-a', '-m', 'annotated', 'v1', commits[1] ?? '');
    run('pack-refs', '--all');
    run('update-ref', 'refs/heads/both', commits[1] ?? '');
    run('update-ref', 'refs/heads/deep/er/loose', commits[2] ?? '');
    run('symbolic-ref', 'refs/heads/sym', 'refs/heads/packed');
    run('symbolic-ref', 'refs/heads/chain', 'refs/heads/sym');
    run('symbolic-ref', 'refs/heads/dangling', 'refs/heads/nowhere');
    run('symbolic-ref', 'refs/heads/circle', 'refs/heads/circle');

    for (const name of [
      'packed',
      'both',
      'deep/er/loose',
      'deep/er',
      'deep',
      'sym',
      'chain',
      'dangling',
      'circle',
      'absent',
    ]) {
      const expected = askGit(repository.path, `refs/heads/${name}`);
      assert.equal((await refs.resolve(`refs/heads/${name}`))?.oid, expected, name);
      assert.equal(await refs.exists(`refs/heads/${name}`), expected !== undefined, name);
    }
    assert.equal((await refs.resolve('refs/tags/v1'))?.oid, askGit(repository.path, 'refs/tags/v1'));
    assert.deepEqual(await refs.read('refs/heads/sym'), { symbolicTarget: Buffer.from('refs/heads/packed') });
  });
}

test('HEAD leads to the end of a chain without a process, to the limit of git', async () => {
  const { repository, run } = createRepository();
  const { refs } = repository;
  for (const [name, target] of [
    ['b', 'a'],
    ['c', 'b'],
    ['d', 'c'],
  ] as const)
    run('symbolic-ref', `refs/heads/${name}`, `refs/heads/${target}`);

  for (const name of ['a', 'b', 'c', 'd']) {
    run('symbolic-ref', 'HEAD', `refs/heads/${name}`);
    started.length = 0;
    assert.equal((await refs.headTarget()).toString(), run('symbolic-ref', 'HEAD'));
    assert.deepEqual(started, [], name);
  }

  run('symbolic-ref', 'refs/heads/e', 'refs/heads/d');
  run('symbolic-ref', 'refs/heads/f', 'refs/heads/e');
  run('symbolic-ref', 'HEAD', 'refs/heads/f');
  assert.throws(() => run('symbolic-ref', 'HEAD'));
  await assert.rejects(refs.headTarget(), { exitCode: 128 });
});

for (const backend of referenceBackends())
  test(`a name in ${backend} is resolved in process only if git has no warning about it`, () => {
    const { repository, commits, run } = createRepository(...refFormatOptions(backend));
    const [one = '', two = ''] = commits;
    const both = ['both', 'refs/heads/full', 'HEAD', 'origin/main'];
    const alone = ['main', 'deep/er', 'tags/v1', 'v1', 'heads/main', 'refs/heads/main', 'up'];
    const others = [
      'up/main',
      'abcd',
      'absent',
      'a@b',
      'main~0',
      'dangling',
      '-q',
      '',
      'x y',
      'ma?n',
      'refs/heads',
    ];
    for (const name of ['main', 'deep/er', 'both', 'abcd', 'a@b', 'refs/heads/full', 'full', 'origin/main'])
      run('update-ref', `refs/heads/${name}`, one);
    for (const name of ['tags/v1', 'tags/both', 'remotes/up/main', 'remotes/origin/main', 'heads/HEAD'])
      run('update-ref', `refs/${name}`, two);
    run('symbolic-ref', 'refs/remotes/up/HEAD', 'refs/remotes/up/main');
    run('symbolic-ref', 'refs/heads/dangling', 'refs/heads/nowhere');
    run('symbolic-ref', 'refs/tags/main', 'refs/heads/nowhere');

    for (const name of [...both, ...alone, ...others]) {
      const args = ['--git-dir', repository.path, 'rev-parse', name];
      const { code, stdout, stderr } = runSync('git', args);
      const isSure = code === 0 && !stderr.includes('is ambiguous');
      const found = repository.refs.resolveUnambiguousNow(name)?.oid;
      if (found !== undefined || alone.includes(name))
        assert.deepEqual([found, isSure], [stdout.toString().trim(), true], name);
      if (both.includes(name)) assert.equal(isSure, false, name);
    }
    if (backend !== 'files') return;
    writeFileSync(join(repository.path, 'main'), `${two}\n`);
    assert.equal(repository.refs.resolveUnambiguousNow('main'), undefined);
  });

// Symptom: read through git, a symbolic reference had the end of its chain as its target.
test('a symbolic reference to another is read as its first target, by git, too', async () => {
  const { repository, run } = createRepository();
  run('symbolic-ref', 'refs/heads/second', 'refs/heads/main');
  run('symbolic-ref', 'refs/heads/first', 'refs/heads/second');
  const name = trustedRefName(Buffer.from('refs/heads/first'));
  const expected = { symbolicTarget: Buffer.from('refs/heads/second') };

  assert.deepEqual(await repository.refs.read(name), expected);
  assert.deepEqual(await new GitRefs(repository).read(name, {}), expected);
});

test('a chain of symbolic references ends where it ends for git', async () => {
  const { repository, commits, run } = createRepository();
  run('update-ref', 'refs/heads/0', commits[0] ?? '');
  for (let link = 1; link <= 7; link++) run('symbolic-ref', `refs/heads/${link}`, `refs/heads/${link - 1}`);

  for (let link = 0; link <= 7; link++) {
    const found = await repository.refs.resolve(`refs/heads/${link}`);
    assert.equal(found?.oid, askGit(repository.path, `refs/heads/${link}`), `${link} links`);
  }
});

test('broken references are what git makes of them', async () => {
  const { repository, commits } = createRepository();
  const refs = repository.refs;
  const write = (name: string, text: string): void => writeFileSync(join(repository.path, name), text);
  write('refs/heads/garbage', 'garbage\n');
  write('refs/heads/empty', '');
  write('refs/heads/zero', `${'0'.repeat(40)}\n`);
  write('refs/heads/missing', '1234567890123456789012345678901234567890\n');
  write('refs/heads/spaces', `${commits[0]}   \n`);
  mkdirSync(join(repository.path, 'refs/heads/directory'));

  for (const name of ['garbage', 'empty', 'directory', 'a..b', 'x.lock', '../heads/spaces', 'a b', 'x/']) {
    assert.equal(await refs.exists(`refs/heads/${name}`), false, name);
  }
  for (const name of ['zero', 'missing'])
    await assert.rejects(refs.exists(`refs/heads/${name}`), { message: 'exit status 128' });
  assert.equal(await refs.exists('refs/heads/spaces'), true);
});

test('git itself reads a reference as its files have it', async () => {
  const { repository, commits, run } = createRepository();
  const refs = new GitRefs(repository);
  run('update-ref', 'refs/heads/direct', commits[0] ?? '');
  run('symbolic-ref', 'refs/heads/symbolic', 'refs/heads/direct');

  const read = (name: string) => refs.read(trustedRefName(Buffer.from(name)), {});
  assert.deepEqual(await read('refs/heads/direct'), { oid: commits[0] });
  assert.deepEqual(await read('refs/heads/symbolic'), {
    symbolicTarget: Buffer.from('refs/heads/direct'),
  });
  assert.equal(await read('refs/heads/absent'), undefined);
});

test('symbolic links, which only git reads, are resolved, also if they lead nowhere', async () => {
  const { repository, commits, run } = createRepository();
  const refs = repository.refs;
  run('update-ref', 'refs/heads/direct', commits[0] ?? '');
  for (const name of ['direct', 'absent'])
    symlinkSync(`refs/heads/${name}`, join(repository.path, `refs/heads/to-${name}`));

  assert.deepEqual(await refs.read('refs/heads/to-absent'), {
    symbolicTarget: Buffer.from('refs/heads/absent'),
  });
  assert.equal((await refs.resolve('refs/heads/to-direct'))?.oid, commits[0]);
  assert.equal(await refs.resolve('refs/heads/to-absent'), undefined);
});

test('names that are not UTF-8 are found', async () => {
  const { repository, commits } = createRepository();
  const name = Buffer.from('refs/heads/latin-\xe9', 'latin1');
  writeFileSync(Buffer.concat([Buffer.from(`${repository.path}/`), name]), `${commits[0]}\n`);

  assert.equal((await repository.refs.resolve(name))?.oid, commits[0]);
});

test('the default branch follows HEAD, then main, then master, then the first branch', async () => {
  const { repository, commits, run } = createRepository();
  const refs = repository.refs;
  const steps: [string[], string | undefined][] = [
    [['rev-parse'], undefined],
    [['update-ref', 'refs/heads/zeta', commits[0] ?? ''], 'refs/heads/zeta'],
    [['update-ref', 'refs/heads/alpha', commits[0] ?? ''], 'refs/heads/alpha'],
    [['update-ref', 'refs/heads/master', commits[0] ?? ''], 'refs/heads/master'],
    [['update-ref', 'refs/heads/main', commits[0] ?? ''], 'refs/heads/main'],
    [['symbolic-ref', 'refs/heads/sym', 'refs/heads/zeta'], 'refs/heads/main'],
    [['symbolic-ref', 'HEAD', 'refs/heads/sym'], 'refs/heads/zeta'],
  ];

  for (const [command, expected] of steps) {
    run(...command);
    assert.equal((await refs.defaultBranch())?.toString(), expected, command.join(' '));
    assert.equal(await refs.hasBranches(), expected !== undefined);
  }
});

test('a HEAD that is detached, garbage or outside refs/ is an error in the words of git', async () => {
  const { repository, commits } = createRepository();

  for (const head of [commits[0], 'garbage', 'ref: main']) {
    writeFileSync(join(repository.path, 'HEAD'), `${head}\n`);
    await assert.rejects(
      repository.refs.defaultBranch(),
      { name: 'GitExitError', message: 'exit status 128' },
      head,
    );
  }
});

test('a dangling symbolic reference is no branch', async () => {
  const { repository, run } = createRepository();
  run('symbolic-ref', 'refs/heads/x', 'refs/heads/y');

  assert.equal(await repository.refs.hasBranches(), false);
});

test('random repositories read the same as git reads them', async () => {
  const component = fc.stringMatching(/^[a-z0-9+_%A-Z-]{1,8}$/);
  const name = fc
    .array(component, { minLength: 1, maxLength: 3 })
    .map((parts) => `refs/heads/d/${parts.join('/')}`);

  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(name, fc.nat(2), fc.boolean()), { minLength: 1, maxLength: 40 }),
      name,
      async (updates, absent) => {
        const { repository, commits, run } = createRepository();
        for (const [ref, commit, pack] of updates) {
          try {
            run('update-ref', ref, commits[commit] ?? '');
          } catch {
            // A directory and a file of the same name: git refuses, so the reference does not
            // exist.
          }
          if (pack) run('pack-refs', '--all');
        }
        const refs = repository.refs;
        for (const ref of [...updates.map(([each]) => each), absent]) {
          assert.equal((await refs.resolve(ref))?.oid, askGit(repository.path, ref), ref);
        }
      },
    ),
    { numRuns: 4 },
  );
});

test('a packed-refs file that is replaced by one of the same size is read again', async () => {
  const { repository, commits, run } = createRepository();
  for (const oid of [commits[0], commits[1], commits[0]]) {
    run('update-ref', 'refs/heads/packed', oid ?? '');
    run('pack-refs', '--all');

    assert.deepEqual(await repository.refs.read('refs/heads/packed'), { oid });
  }
});

test('a packed-refs file too big to be kept is searched where it lies', async () => {
  const { repository, commits } = createRepository();
  const names = Array.from(
    { length: 30_000 },
    (_, index) => `refs/heads/branch-${String(index).padStart(5, '0')}${'x'.repeat(index % 90)}`,
  );
  const lines = names.map(
    (name, index) => `${commits[index % 3]} ${name}${index % 7 === 0 ? `\n^${commits[0]}` : ''}`,
  );
  writePackedRefs(repository.path, lines);
  const refs = repository.refs;

  for (let index = 0; index < names.length; index += 97) {
    assert.deepEqual(await refs.read(names[index] ?? ''), { oid: commits[index % 3] });
    assert.equal(await refs.read(`${names[index]}y`), undefined);
  }
  assert.equal((await refs.read(names.at(-1) ?? ''))?.oid, commits[(names.length - 1) % 3]);
  assert.equal(await refs.read('refs/heads/a'), undefined);
  assert.equal(await refs.read('refs/heads/z'), undefined);
  assert.equal(await refs.hasBranches(), true);
});

test('while others write and pack, every read finds a reference with a value it had', async () => {
  const { repository, commits, run } = createRepository();
  run('update-ref', 'refs/heads/fixed', commits[0] ?? '');
  const enough = join(repository.path, 'enough');
  const script = `write() { git update-ref refs/heads/moving $1; git pack-refs --all
    git update-ref refs/heads/fixed ${commits[0]}; }
    for i in 1 2 3 4 5 6 7 8; do write ${commits[1]}; write ${commits[2]}; done
    until [ -e "$GIT_DIR/enough" ]; do write ${commits[1]}; write ${commits[2]}; done`;
  run('update-ref', 'refs/heads/moving', commits[1] ?? '');
  const writer = spawn('sh', ['-c', script], { env: { ...ENV, GIT_DIR: repository.path }, stdio: 'ignore' });
  const exited = once(writer, 'exit');
  const refs = repository.refs;
  let reads = 0;

  while (writer.exitCode === null) {
    assert.equal((await refs.resolve('refs/heads/fixed'))?.oid, commits[0]);
    assert.ok([commits[1], commits[2]].includes((await refs.resolve('refs/heads/moving'))?.oid ?? ''));
    reads++;
    if (reads === 101) writeFileSync(enough, '');
    if (reads % 20 === 0) await new Promise((resolve) => setImmediate(resolve));
  }

  assert.deepEqual(await exited, [0, null]);
  assert.ok(reads > 100);
});

test('whether there is a branch takes no more time with thousands of them', async () => {
  const { repository, commits, run } = createRepository();
  const path = join(repository.path, 'refs/heads/many');
  const cpuMs = async (head: string): Promise<number> => {
    run('symbolic-ref', 'HEAD', head);
    const before = process.cpuUsage();
    for (let count = 0; count < 200; count++) assert.equal(await repository.refs.hasBranches(), true);
    const { system, user } = process.cpuUsage(before);
    return (system + user) / 1000;
  };
  mkdirSync(path, { recursive: true });
  writeFileSync(join(path, '0'), `${commits[0]}\n`);
  const [few, fewUnborn] = [await cpuMs('refs/heads/many/0'), await cpuMs('refs/heads/unborn')];

  for (let number = 1; number < 5000; number++) writeFileSync(join(path, `${number}`), `${commits[0]}\n`);

  // Listing them takes some hundred times as long.
  assert.ok((await cpuMs('refs/heads/many/0')) < 10 * few + 50);
  assert.ok((await cpuMs('refs/heads/unborn')) < 10 * fewUnborn + 200);
});

test('without a directory of branches there is none', async () => {
  const { repository, commits, run } = createRepository();
  const heads = join(repository.path, 'refs/heads');
  rmSync(heads, { recursive: true });
  started.length = 0;

  assert.equal(await repository.refs.hasBranches(), false);
  writeFileSync(heads, '');
  assert.equal(await repository.refs.hasBranches(), false);
  rmSync(heads);
  run('update-ref', 'refs/heads/deep/er', commits[0] ?? '');
  assert.equal(await repository.refs.hasBranches(), true);

  assert.deepEqual(started, []);
});

// Branches were listed while every git command failed.
for (const [name, change] of [
  ['an extension', (path: string) => appendFileSync(`${path}/config`, '[extensions]\nobjectFormat = sha1\n')],
  [
    'the version',
    (path: string) => appendFileSync(`${path}/config`, '[core]\nrepositoryFormatVersion = 9\n'),
  ],
  ['its config', (path: string) => appendFileSync(`${path}/config`, '[core\n')],
  ['packed-refs', (path: string) => appendFileSync(`${path}/packed-refs`, 'x')],
  ['a short line', (path: string) => appendFileSync(`${path}/packed-refs`, 'x\n')],
] as const) {
  test(`references of a repository that git refuses for ${name} are left to git`, async () => {
    const { repository, run, commits } = createRepository();
    run('update-ref', 'refs/heads/main', commits[0] ?? '');
    run('pack-refs', '--all');
    const { refs } = repository;
    assert.equal(await refs.hasBranches(), true);

    change(repository.path);

    assert.throws(() => run('for-each-ref'));
    await assert.rejects(refs.hasBranches(), { message: 'exit status 128' });
  });
}
