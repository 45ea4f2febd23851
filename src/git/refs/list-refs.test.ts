import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  appendFileSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import fc from 'fast-check';
import { GitFixture } from '#testkit/repositories/git-fixture';
import { gitOutput, initRepository } from '#testkit/repositories/init-repository';
import { GIT_ENVIRONMENT } from '#testkit/repositories/run-git';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import type { GitRepository } from '../repository.ts';
import type { RefQuery } from './for-each-ref.ts';
import type { ListedRef } from './listed-ref.ts';

const directory = makeScratchDirectory('list-refs');
const started: string[] = [];
const git = await GitFixture.start({ observer: ({ subcommand }) => void started.push(subcommand) });
after(async () => {
  await git.close();
  rmSync(directory, { recursive: true });
});

let count = 0;

interface Fixture {
  readonly repository: GitRepository;
  readonly path: string;
  readonly commits: readonly string[];
  run(...args: string[]): string;
}

function createRepository(objectFormat: 'sha1' | 'sha256' = 'sha1'): Fixture {
  const path = join(directory, `${count++}.git`);
  initRepository(path, { objectFormat });
  const run = (...args: string[]): string => gitOutput(path, args);
  const tree = gitOutput(path, ['mktree'], '');
  const commits = ['one', 'two', 'three'].map((message) => run('commit-tree', '-m', message, tree));
  return {
    repository: git.open(path),
    path,
    commits,
    run,
  };
}

async function list(
  { repository }: Fixture,
  query: RefQuery,
  options: { peel?: boolean } = {},
): Promise<ListedRef[]> {
  return (await Array.fromAsync(repository.refs.list(query, options))).flat();
}

const show = ({ oid, name, peeledOid }: ListedRef, peel = false): string =>
  `${oid} ${name.toString('latin1')}${peel ? ` ${peeledOid ?? ''}` : ''}`;

/** Returns git's list. */
function askGit(
  { path }: Fixture,
  args: readonly (string | Buffer)[],
  format = '%(objectname) %(refname)',
): string[] {
  // A shell keeps bytes that are not text unchanged.
  const words = args
    .map((arg) => `'${Buffer.from(arg).toString('latin1').replaceAll("'", "'\\''")}'`)
    .join(' ');
  const script = join(directory, `${count++}.sh`);
  writeFileSync(script, Buffer.from(`git for-each-ref '--format=${format}' ${words}`, 'latin1'));
  const options = {
    cwd: path,
    encoding: 'latin1',
    maxBuffer: 1e9,
    stdio: 'pipe',
    env: { ...process.env, ...GIT_ENVIRONMENT },
  } as const;
  return execFileSync('sh', [script], options).split('\n').filter(Boolean);
}

/** Lists in process and compares with git. Returns the number of references. */
async function check(fixture: Fixture, patterns: readonly (string | Buffer)[] = ['refs/']): Promise<number> {
  const found = await list(fixture, { patterns });
  assert.deepEqual(
    found.map((ref) => show(ref)),
    askGit(fixture, patterns),
    patterns.join(' '),
  );
  return found.length;
}

for (const format of ['sha1', 'sha256'] as const) {
  test(`all kinds of references of a ${format} repository are listed as git lists them`, async () => {
    const fixture = createRepository(format);
    const { commits, run, path } = fixture;
    for (const name of [
      'refs/heads/a',
      'refs/heads/a-b',
      'refs/heads/a.b/c',
      'refs/heads/a0',
      'refs/tags/t',
      'refs/top',
      'refs/x/y/z',
    ]) {
      run('update-ref', name, commits[0] ?? '');
    }
    run('tag', '-a', '-m', 'annotated', 'annotated', commits[1] ?? '');
    run('pack-refs', '--all');
    run('update-ref', 'refs/heads/a-b', commits[2] ?? '');
    run('update-ref', 'refs/heads/new', commits[2] ?? '');
    run('symbolic-ref', 'refs/heads/sym', 'refs/heads/a-b');
    run('symbolic-ref', 'refs/heads/chain', 'refs/heads/sym');
    run('symbolic-ref', 'refs/heads/dangling', 'refs/heads/nowhere');
    mkdirSync(join(path, 'refs/heads/empty'));
    writeFileSync(join(path, 'refs/heads/bad..name'), `${commits[0]}\n`);
    writeFileSync(join(path, 'refs/heads/held.lock'), '');
    writeFileSync(
      join(path, Buffer.from('refs/heads/latin-\xe9', 'latin1').toString('latin1')),
      `${commits[0]}\n`,
    );
    started.length = 0;

    assert.equal(await check(fixture), 12);
    const patterns = [
      ['refs/heads'],
      ['refs/heads/a'],
      ['refs/heads/a', 'refs/heads/a0', 'refs/tags/'],
      ['refs/heads/*'],
      ['refs'],
      ['**/a*'],
      ['HEAD'],
      ['refs/heads/nothing'],
      ['re*'],
    ];
    for (const each of patterns) await check(fixture, each);

    assert.deepEqual(started, []);
  });
}

test('a symbolic reference that leads nowhere hides the packed one of its name', async () => {
  const fixture = createRepository();
  const { commits, run, path } = fixture;
  run('update-ref', 'refs/heads/a', commits[0] ?? '');
  run('update-ref', 'refs/heads/b', commits[0] ?? '');
  run('pack-refs', '--all');
  writeFileSync(join(path, 'refs/heads/a'), 'ref: refs/heads/nowhere\n');

  assert.equal(await check(fixture), 1);
  assert.equal(await check(fixture, ['refs/heads/a']), 0);
});

test('a pattern that leads out of the repository finds nothing, and looks at nothing there', async () => {
  const fixture = createRepository();
  const outside = join(fixture.path, 'outside');
  mkdirSync(outside);
  // On a walk it would be unsupported, so that git is used.
  symlinkSync('/', join(outside, 'link'));
  started.length = 0;

  assert.deepEqual(await list(fixture, { patterns: ['refs/../outside/', 'refs/heads/../../outside/'] }), []);
  assert.deepEqual(started, []);
});

test('unusual files make the list fall back to git', async () => {
  const oddities: ((fixture: Fixture) => void)[] = [
    ({ path }) => writeFileSync(join(path, 'refs/heads/garbage'), 'garbage\n'),
    ({ path }) => writeFileSync(join(path, 'refs/heads/empty'), ''),
    ({ path }) => writeFileSync(join(path, 'refs/heads/zero'), `${'0'.repeat(40)}\n`),
    ({ path }) => symlinkSync('b', join(path, 'refs/heads/link')),
    ({ path }) => symlinkSync('../tags', join(path, 'refs/heads/directory')),
    ({ path }) => appendFileSync(join(path, 'packed-refs'), `${'0'.repeat(40)} refs/heads/zero\n`),
    ({ path, commits }) => appendFileSync(join(path, 'packed-refs'), `${commits[0]} refs/heads/z~1\n`),
    ({ path, commits }) => appendFileSync(join(path, 'packed-refs'), `${commits[0]} rest/heads/z\n`),
    ({ path, commits }) => appendFileSync(join(path, 'packed-refs'), `${commits[0]} refs/heads/z.lock\n`),
    ({ path }) =>
      writeFileSync(
        join(path, 'packed-refs'),
        readFileSync(join(path, 'packed-refs'), 'latin1').replace(' sorted', ''),
      ),
    ({ path }) =>
      writeFileSync(
        join(path, 'packed-refs'),
        readFileSync(join(path, 'packed-refs'), 'latin1').replace(/^#.*\n/, ''),
      ),
    ({ run }) => void run('symbolic-ref', 'refs/heads/outside', 'refs/heads/b'),
  ];
  for (const [index, spoil] of oddities.entries()) {
    const fixture = createRepository();
    const { commits, run } = fixture;
    for (const name of ['refs/heads/b', 'refs/heads/c', 'refs/tags/t'])
      run('update-ref', name, commits[0] ?? '');
    run('pack-refs', '--all');
    spoil(fixture);

    assert.ok((await check(fixture)) >= 3, `oddity ${index}`);
  }
});

test('a repository that git refuses is refused in the words of git', async () => {
  const spoils: ((path: string) => void)[] = [
    (path) => appendFileSync(join(path, 'packed-refs'), 'garbage line\n'),
    (path) => appendFileSync(join(path, 'packed-refs'), `${'1'.repeat(40)} refs/heads/z`),
    (path) => writeFileSync(join(path, 'HEAD'), 'garbage\n'),
    (path) => rmSync(join(path, 'objects'), { recursive: true }),
  ];
  for (const [index, spoil] of spoils.entries()) {
    const fixture = createRepository();
    fixture.run('update-ref', 'refs/heads/b', fixture.commits[0] ?? '');
    fixture.run('pack-refs', '--all');
    spoil(fixture.path);

    await assert.rejects(
      list(fixture, { patterns: ['refs/'] }),
      { name: 'GitExitError', exitCode: 128 },
      `spoil ${index}`,
    );
  }
});

test('random repositories are listed as git lists them, whatever is asked for', async () => {
  const component = fc.stringMatching(/^[a-c%é-]{1,3}$/);
  const name = fc
    .array(component, { minLength: 1, maxLength: 3 })
    .map((parts) => `refs/heads/${parts.join('/')}`);
  const change = fc.tuple(name, fc.nat(2), fc.constantFrom('update', 'pack', 'delete', 'tag', 'symbolic'));
  const pattern = fc.constantFrom(
    'refs/',
    'refs/heads',
    'refs/heads/a',
    'refs/heads/a*',
    'refs/heads/**/b',
    'refs/heads/[a-b]*',
    'refs/tags/',
  );

  await fc.assert(
    fc.asyncProperty(
      fc.array(change, { minLength: 5, maxLength: 25 }),
      fc.uniqueArray(pattern, { minLength: 1, maxLength: 3 }),
      async (changes, patterns) => {
        const fixture = createRepository();
        const attempt = (...args: string[]): void => {
          try {
            fixture.run(...args);
          } catch {
            // A file at the place of a required directory, or a missing reference: git refuses, and
            // nothing changes.
          }
        };
        for (const [index, [ref, commit, how]] of changes.entries()) {
          const oid = fixture.commits[commit] ?? '';
          if (how === 'delete') attempt('update-ref', '-d', ref);
          else if (how === 'tag') attempt('tag', '-a', '-m', 'x', `t${index}`, oid);
          else if (how === 'symbolic') attempt('symbolic-ref', ref, changes[commit]?.[0] ?? ref);
          else attempt('update-ref', ref, oid);
          if (how === 'pack') attempt('pack-refs', '--all');
        }

        await check(fixture, patterns);
      },
    ),
    { numRuns: 12 },
  );
});

test('damaged packed-refs give what git gives, or its error, and never a hang', async () => {
  const fixture = createRepository();
  const { commits, path, run } = fixture;
  for (let index = 0; index < 30; index++)
    run('update-ref', `refs/heads/b${index}`, commits[index % 3] ?? '');
  run('tag', '-a', '-m', 'x', 'annotated', commits[0] ?? '');
  run('pack-refs', '--all');
  const good = readFileSync(join(path, 'packed-refs'));
  const edit = fc.tuple(
    fc.nat(good.length - 1),
    fc.oneof(fc.nat(255), fc.constantFrom(0, 10, 13, 32, 46, 47, 94, 126)),
  );

  await fc.assert(
    fc.asyncProperty(
      fc.array(edit, { minLength: 1, maxLength: 3 }),
      fc.option(fc.nat(good.length), { nil: undefined }),
      async (edits, length) => {
        const bad = Buffer.from(good.subarray(0, length));
        // The first line declares the format of the rest; with another one git is used anyway.
        for (const [at, byte] of edits) if (at > 60 && at < bad.length) bad[at] = byte;
        writeFileSync(join(path, 'packed-refs'), bad);

        const expected = await attempt(() => askGit(fixture, ['refs/']));
        const found = await attempt(async () =>
          (await list(fixture, { patterns: ['refs/'] })).map((ref) => show(ref)),
        );

        // git sorts its result; this code trusts the declared order and does not check it here.
        if (expected !== undefined && isSorted(bad)) assert.deepEqual(found, expected);
      },
    ),
    { numRuns: 80 },
  );
});

async function attempt<T>(run: () => T | Promise<T>): Promise<T | undefined> {
  try {
    return await run();
  } catch {
    return undefined;
  }
}

function isSorted(packedRefs: Buffer): boolean {
  const lines = packedRefs
    .toString('latin1')
    .split('\n')
    .filter((line) => /^[^#^]/.test(line));
  return lines.every((line, index) => index === 0 || (lines[index - 1] ?? '').slice(41) < line.slice(41));
}

test('a file of many blocks is listed whole, and its beginning comes at once', async () => {
  const fixture = createRepository();
  const { commits, path, run } = fixture;
  const names = Array.from(
    { length: 40_000 },
    (_, index) => `refs/heads/branch-${String(index).padStart(6, '0')}${'x'.repeat(index % 70)}`,
  );
  const lines = names.map(
    (name, index) => `${commits[index % 3]} ${name}\n${index % 5 === 0 ? `^${commits[0]}\n` : ''}`,
  );
  writeFileSync(
    join(path, 'packed-refs'),
    `# pack-refs with: peeled fully-peeled sorted \n${lines.join('')}`,
  );
  run('update-ref', 'refs/heads/branch-020000', commits[0] ?? '');
  run('update-ref', 'refs/heads/zzz', commits[0] ?? '');

  assert.equal(await check(fixture), names.length + 2);
  assert.equal(await check(fixture, ['refs/heads/branch-03999*']), 10);
  const [first = []] = await Array.fromAsync(fixture.repository.refs.list({ patterns: ['refs/heads/'] }));
  assert.ok(first.length < 1_000);
  assert.deepEqual(
    (await list(fixture, { patterns: ['refs/'], limit: 3 })).map(({ name }) => name.toString()),
    names.slice(0, 3),
  );
});

test('what the files do not tell comes from git: sorting, peeling, ancestry', async () => {
  const fixture = createRepository();
  const { commits, run } = fixture;
  const child = run('commit-tree', '-p', commits[0] ?? '', '-m', 'child', `${commits[0]}^{tree}`);
  run('update-ref', 'refs/heads/b', child);
  run('update-ref', 'refs/heads/a', commits[0] ?? '');
  run('tag', '-a', '-m', 'x', 'annotated', child);
  run('tag', 'light', child);
  const names = async (query: Omit<RefQuery, 'patterns'>): Promise<string[]> =>
    (await list(fixture, { patterns: ['refs/'], ...query })).map(({ name }) => name.toString());

  assert.deepEqual(await names({ sort: '-refname' }), askGit(fixture, ['--sort=-refname'], '%(refname)'));
  assert.deepEqual(await names({ contains: child }), [
    'refs/heads/b',
    'refs/tags/annotated',
    'refs/tags/light',
  ]);
  assert.deepEqual(await names({ merged: 'refs/heads/a' }), ['refs/heads/a']);
  assert.deepEqual(await names({ pointsAt: [child] }), [
    'refs/heads/b',
    'refs/tags/annotated',
    'refs/tags/light',
  ]);
  assert.deepEqual(await names({ pointsAt: [child], limit: 2 }), ['refs/heads/b', 'refs/tags/annotated']);
  assert.deepEqual(await names({ exclude: [Buffer.from('refs/heads/'), Buffer.from('refs/tags/l*')] }), [
    'refs/tags/annotated',
  ]);
  assert.deepEqual(await names({ exclude: [Buffer.from('refs/heads')], sort: '-refname', limit: 1 }), [
    'refs/tags/light',
  ]);
  for (const pack of [false, true]) {
    if (pack) run('pack-refs', '--all');
    for (const sort of ['refname', '-refname']) {
      const peeled = (await list(fixture, { patterns: ['refs/'], sort }, { peel: true })).map((ref) =>
        show(ref, true),
      );
      assert.deepEqual(
        peeled,
        askGit(fixture, [`--sort=${sort}`], '%(objectname) %(refname) %(*objectname)'),
      );
    }
  }
});

test('a chain of tags is looked through, whatever the version of git', async () => {
  const fixture = createRepository();
  const { commits, run } = fixture;
  run('update-ref', 'refs/heads/main', commits[0] ?? '');
  for (let depth = 1; depth <= 4; depth++)
    run('tag', '-a', '-m', 'x', `t${depth}`, depth === 1 ? 'main' : `t${depth - 1}`);
  const names = async (pointsAt: string): Promise<string> =>
    (await list(fixture, { patterns: ['refs/'], pointsAt: [pointsAt] }))
      .map(({ name }) => name.toString().slice(5))
      .join(' ');

  assert.equal(await names('main'), 'heads/main tags/t1 tags/t2 tags/t3 tags/t4');
  assert.equal(await names(run('rev-parse', 't2')), 'tags/t2 tags/t3 tags/t4');
  assert.equal(await names('1'.repeat(40)), '');
  await assert.rejects(names('nothing'), { name: 'GitExitError', exitCode: 129 });
  for (const sort of ['refname', 'version:refname']) {
    const peeled = await list(fixture, { patterns: ['refs/tags/'], sort }, { peel: true });
    assert.deepEqual(new Set(peeled.map(({ peeledOid }) => peeledOid)), new Set([commits[0]]));
  }
  run('update-ref', 'refs/heads/main', commits[1] ?? '');
  writeFileSync(join(fixture.path, 'refs/heads/gone'), `${'1'.repeat(40)}\n`);
  await assert.rejects(list(fixture, { patterns: ['refs/'] }, { peel: true }), {
    name: 'GitExitError',
    exitCode: 128,
  });
});

test('words that git must not see are refused before anything runs', () => {
  const refs = createRepository().repository.refs;

  assert.throws(
    () => refs.list({ patterns: ['refs/\0'] }),
    /detected null byte in command argument "refs\/\\x00"/,
  );
  assert.throws(
    () => refs.list({ patterns: ['--sort=x'] }),
    /positional arg "--sort=x" cannot start with dash/,
  );
});

test('a reader that leaves ends git and closes the file', async () => {
  const fixture = createRepository();
  const lines = Array.from(
    { length: 100_000 },
    (_, index) => `${fixture.commits[0]} refs/heads/b${String(index).padStart(6, '0')}\n`,
  );
  writeFileSync(
    join(fixture.path, 'packed-refs'),
    `# pack-refs with: peeled fully-peeled sorted \n${lines.join('')}`,
  );
  const open = readdirSync('/proc/self/fd').length;

  for (const query of [{}, { sort: '-refname' }]) {
    for await (const refs of fixture.repository.refs.list({ patterns: ['refs/'], ...query }))
      if (refs.length > 0) break;
  }

  assert.ok(readdirSync('/proc/self/fd').length <= open);
  assert.throws(() => execFileSync('pgrep', ['-f', `${fixture.path} .*for-each-ref`]));
});

test('while git writes and packs, no reference that stays is missed or seen twice', async () => {
  const fixture = createRepository();
  const { commits, run, path } = fixture;
  for (let index = 0; index < 20; index++) run('update-ref', `refs/heads/fixed${index}`, commits[0] ?? '');
  const script = `for i in 1 2 3 4 5 6 7 8 9 10; do
    git update-ref refs/heads/moving ${commits[1]}
    git update-ref refs/heads/fixed3 ${commits[0]} && git pack-refs --all
    git update-ref refs/heads/moving ${commits[2]}; git update-ref refs/heads/new$i ${commits[0]}
    git pack-refs --all; done`;
  run('update-ref', 'refs/heads/moving', commits[1] ?? '');
  const writer = spawn('sh', ['-c', script], {
    env: { ...process.env, ...GIT_ENVIRONMENT, GIT_DIR: path },
    stdio: 'ignore',
  });
  const exited = once(writer, 'exit');
  let lists = 0;

  while (writer.exitCode === null) {
    const names = (await list(fixture, { patterns: ['refs/heads/'] })).map(({ name }) => name.toString());
    assert.equal(new Set(names).size, names.length);
    assert.equal(names.filter((name) => /fixed|moving/.test(name)).length, 21);
    lists++;
    // Everything is in memory, so no other work would get a turn.
    await setImmediate();
  }

  assert.deepEqual(await exited, [0, null]);
  assert.ok(lists > 20);
});

test('a reference is found by its exact name without a process, and a broken one is none', async () => {
  const fixture = createRepository();
  const { commits, run, path, repository } = fixture;
  run('update-ref', 'refs/heads/packed', commits[0] ?? '');
  run('pack-refs', '--all');
  run('update-ref', 'refs/heads/loose', commits[1] ?? '');
  run('symbolic-ref', 'refs/heads/sym', 'refs/heads/loose');
  run('symbolic-ref', 'refs/heads/dangling', 'refs/heads/nowhere');
  const find = async (name: string) => (await repository.refs.find(Buffer.from(name)))?.oid;
  started.length = 0;

  assert.deepEqual(await Promise.all(['packed', 'loose', 'sym'].map((name) => find(`refs/heads/${name}`))), [
    commits[0],
    commits[1],
    commits[1],
  ]);
  for (const name of ['nothing', 'dangling', '../heads/loose', 'loose/', 'a b', ''])
    assert.equal(await find(`refs/heads/${name}`), undefined);
  assert.deepEqual(started, []);
  for (const text of ['garbage', '', '0'.repeat(40)]) {
    writeFileSync(join(path, 'refs/heads/broken'), text);
    assert.equal(await find('refs/heads/broken'), undefined);
  }
});
