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
import { writePackedRefs } from '#testkit/repositories/packed-refs';
import {
  listReferences,
  ReferencesFixture,
  type ReferencesRepository,
  showReference,
} from '#testkit/repositories/references-fixture';
import { GIT_ENVIRONMENT } from '#testkit/repositories/run-git';
import type { RefQuery } from '../git/for-each-ref.ts';

const fixture = await ReferencesFixture.start();
after(() => fixture.close());
const { started } = fixture;

for (const format of ['sha1', 'sha256'] as const) {
  test(`all kinds of references of a ${format} repository are listed as git lists them`, async () => {
    const made = fixture.createRepository(format);
    const { commits, run, path } = made;
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

    assert.equal(await fixture.check(made), 12);
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
    for (const each of patterns) await fixture.check(made, each);

    assert.deepEqual(started, []);
  });
}

test('a symbolic reference that leads nowhere hides the packed one of its name', async () => {
  const made = fixture.createRepository();
  const { commits, run, path } = made;
  run('update-ref', 'refs/heads/a', commits[0] ?? '');
  run('update-ref', 'refs/heads/b', commits[0] ?? '');
  run('pack-refs', '--all');
  writeFileSync(join(path, 'refs/heads/a'), 'ref: refs/heads/nowhere\n');

  assert.equal(await fixture.check(made), 1);
  assert.equal(await fixture.check(made, ['refs/heads/a']), 0);
});

test('a pattern that leads out of the repository finds nothing, and looks at nothing there', async () => {
  const made = fixture.createRepository();
  const outside = join(made.path, 'outside');
  mkdirSync(outside);
  // On a walk it would be unsupported, so that git is used.
  symlinkSync('/', join(outside, 'link'));
  started.length = 0;

  assert.deepEqual(
    await listReferences(made, { patterns: ['refs/../outside/', 'refs/heads/../../outside/'] }),
    [],
  );
  assert.deepEqual(started, []);
});

test('unusual files make the list fall back to git', async () => {
  const oddities: ((made: ReferencesRepository) => void)[] = [
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
    const made = fixture.createRepository();
    const { commits, run } = made;
    for (const name of ['refs/heads/b', 'refs/heads/c', 'refs/tags/t'])
      run('update-ref', name, commits[0] ?? '');
    run('pack-refs', '--all');
    spoil(made);

    assert.ok((await fixture.check(made)) >= 3, `oddity ${index}`);
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
    const made = fixture.createRepository();
    made.run('update-ref', 'refs/heads/b', made.commits[0] ?? '');
    made.run('pack-refs', '--all');
    spoil(made.path);

    await assert.rejects(
      listReferences(made, { patterns: ['refs/'] }),
      { name: 'GitExitError', exitCode: 128 },
      `spoil ${index}`,
    );
  }
});

test('a file of many blocks is listed whole, and its beginning comes at once', async () => {
  const made = fixture.createRepository();
  const { commits, path, run } = made;
  const names = Array.from(
    { length: 40_000 },
    (_, index) => `refs/heads/branch-${String(index).padStart(6, '0')}${'x'.repeat(index % 70)}`,
  );
  const lines = names.map(
    (name, index) => `${commits[index % 3]} ${name}${index % 5 === 0 ? `\n^${commits[0]}` : ''}`,
  );
  writePackedRefs(path, lines);
  run('update-ref', 'refs/heads/branch-020000', commits[0] ?? '');
  run('update-ref', 'refs/heads/zzz', commits[0] ?? '');

  assert.equal(await fixture.check(made), names.length + 2);
  assert.equal(await fixture.check(made, ['refs/heads/branch-03999*']), 10);
  const [first = []] = await Array.fromAsync(made.repository.refs.list({ patterns: ['refs/heads/'] }));
  assert.ok(first.length < 1_000);
  assert.deepEqual(
    (await listReferences(made, { patterns: ['refs/'], limit: 3 })).map(({ name }) => name.toString()),
    names.slice(0, 3),
  );
});

test('what the files do not tell comes from git: sorting, peeling, ancestry', async () => {
  const made = fixture.createRepository();
  const { commits, run } = made;
  const child = run('commit-tree', '-p', commits[0] ?? '', '-m', 'child', `${commits[0]}^{tree}`);
  run('update-ref', 'refs/heads/b', child);
  run('update-ref', 'refs/heads/a', commits[0] ?? '');
  run('tag', '-a', '-m', 'x', 'annotated', child);
  run('tag', 'light', child);
  const names = async (query: Omit<RefQuery, 'patterns'>): Promise<string[]> =>
    (await listReferences(made, { patterns: ['refs/'], ...query })).map(({ name }) => name.toString());

  assert.deepEqual(
    await names({ sort: '-refname' }),
    fixture.askGit(made, ['--sort=-refname'], '%(refname)'),
  );
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
      const peeled = (await listReferences(made, { patterns: ['refs/'], sort }, { peel: true })).map((ref) =>
        showReference(ref, true),
      );
      assert.deepEqual(
        peeled,
        fixture.askGit(made, [`--sort=${sort}`], '%(objectname) %(refname) %(*objectname)'),
      );
    }
  }
});

test('a chain of tags is looked through, whatever the version of git', async () => {
  const made = fixture.createRepository();
  const { commits, run } = made;
  run('update-ref', 'refs/heads/main', commits[0] ?? '');
  for (let depth = 1; depth <= 4; depth++)
    run('tag', '-a', '-m', 'x', `t${depth}`, depth === 1 ? 'main' : `t${depth - 1}`);
  const names = async (pointsAt: string): Promise<string> =>
    (await listReferences(made, { patterns: ['refs/'], pointsAt: [pointsAt] }))
      .map(({ name }) => name.toString().slice(5))
      .join(' ');

  assert.equal(await names('main'), 'heads/main tags/t1 tags/t2 tags/t3 tags/t4');
  assert.equal(await names(run('rev-parse', 't2')), 'tags/t2 tags/t3 tags/t4');
  assert.equal(await names('1'.repeat(40)), '');
  await assert.rejects(names('nothing'), { name: 'GitExitError', exitCode: 129 });
  for (const sort of ['refname', 'version:refname']) {
    const peeled = await listReferences(made, { patterns: ['refs/tags/'], sort }, { peel: true });
    assert.deepEqual(new Set(peeled.map(({ peeledOid }) => peeledOid)), new Set([commits[0]]));
  }
  run('update-ref', 'refs/heads/main', commits[1] ?? '');
  writeFileSync(join(made.path, 'refs/heads/gone'), `${'1'.repeat(40)}\n`);
  await assert.rejects(listReferences(made, { patterns: ['refs/'] }, { peel: true }), {
    name: 'GitExitError',
    exitCode: 128,
  });
});

test('words that git must not see are refused before anything runs', () => {
  const refs = fixture.createRepository().repository.refs;

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
  const made = fixture.createRepository();
  const lines = Array.from(
    { length: 100_000 },
    (_, index) => `${made.commits[0]} refs/heads/b${String(index).padStart(6, '0')}`,
  );
  writePackedRefs(made.path, lines);
  const open = readdirSync('/proc/self/fd').length;

  for (const query of [{}, { sort: '-refname' }]) {
    for await (const refs of made.repository.refs.list({ patterns: ['refs/'], ...query }))
      if (refs.length > 0) break;
  }

  assert.ok(readdirSync('/proc/self/fd').length <= open);
  assert.throws(() => execFileSync('pgrep', ['-f', `${made.path} .*for-each-ref`]));
});

// Symptom: no other call got an answer for seconds, and the end of the call ended nothing.
test('patterns that take long leave time for others, and end with their call', async () => {
  const made = fixture.createRepository();
  const name = `refs/heads/${'a'.repeat(150)}`;
  const numbers = Array.from({ length: 1000 }, (_, index) => String(index).padStart(4, '0'));
  writePackedRefs(
    made.path,
    numbers.map((number) => `${made.commits[0]} ${name}${number}`),
  );
  const hostile = Array.from({ length: 8 }, (_, index) => `refs/heads/${'*a'.repeat(20)}-${index}`);
  let turns = 0;
  const leaving = new AbortController();
  const work = setInterval(() => {
    if (++turns === 10) leaving.abort(new Error('the client left'));
  }).unref();

  const listing = Array.fromAsync(
    made.repository.refs.list({ patterns: ['refs/heads/b', ...hostile] }, { signal: leaving.signal }),
  );

  await assert.rejects(listing, /the client left/);
  clearInterval(work);
});

test('while git writes and packs, no reference that stays is missed or seen twice', async () => {
  const made = fixture.createRepository();
  const { commits, run, path } = made;
  for (let index = 0; index < 20; index++) run('update-ref', `refs/heads/fixed${index}`, commits[0] ?? '');
  // At least ten rounds, and as many as the lists need on a busy machine.
  const script = `i=0; while [ -d "$GIT_DIR" ] && [ $i -lt 10 -o ! -e "$GIT_DIR/enough" ]; do i=$((i + 1))
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
  const LISTS = 20;
  let lists = 0;

  while (writer.exitCode === null) {
    const names = (await listReferences(made, { patterns: ['refs/heads/'] })).map(({ name }) =>
      name.toString(),
    );
    assert.equal(new Set(names).size, names.length);
    assert.equal(names.filter((name) => /fixed|moving/.test(name)).length, 21);
    if (++lists === LISTS) writeFileSync(join(path, 'enough'), '');
    // Everything is in memory, so no other work would get a turn.
    await setImmediate();
  }

  assert.deepEqual(await exited, [0, null]);
  assert.ok(lists >= LISTS);
});

test('a reference is found by its exact name without a process, and a broken one is none', async () => {
  const made = fixture.createRepository();
  const { commits, run, path, repository } = made;
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
