import assert from 'node:assert/strict';
import { appendFileSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import type { ConfigPair } from '#git/command/config';
import { flag, gitCommand } from '#git/command/git-command';
import type { Repository } from '#storage/repository';
import { FLUSH, packet } from '#testkit/repositories/push';
import { type Random, seededRandom } from '#testkit/repositories/random-history';
import { StorageFixture } from '#testkit/repositories/storage-fixture';
import { testSeed } from '#testkit/test-seed';
import { lsRefsAnswer } from './ls-refs-server.ts';
import { RequestParser } from './request-parser.ts';

/** `SEED=7` repeats a run. */
const SEED = testSeed('SEED');
const REPOSITORIES = Number(process.env.REPOSITORIES ?? 8);
const QUESTIONS = 12;

const ALL = ['peel', 'symrefs', 'unborn'];

function lsRefs(words: readonly string[], objectFormat = 'sha1'): Buffer {
  const head =
    packet('command=ls-refs\n') + packet('agent=git/2.45.0-Linux') + packet(`object-format=${objectFormat}`);
  return Buffer.from(`${head}0001${words.map((word) => packet(`${word}\n`)).join('')}${FLUSH}`);
}

async function ours(
  repository: Repository,
  body: Buffer,
  config: readonly ConfigPair[] = [],
): Promise<string | undefined> {
  const request = new RequestParser().push(body);
  if (typeof request === 'string' || request.name !== 'ls-refs') return undefined;
  const pieces = await lsRefsAnswer(repository, request, { config, signal: new AbortController().signal });
  return pieces && Buffer.concat(pieces).toString('latin1');
}

async function gits(
  repository: Repository,
  body: Buffer,
  config: readonly ConfigPair[] = [],
): Promise<string> {
  const command = gitCommand('upload-pack', { options: [flag('--stateless-rpc')], args: [repository.path] });
  return (await repository.run(command, { config, gitProtocol: 'version=2', input: body })).toString(
    'latin1',
  );
}

async function assertSame(
  repository: Repository,
  body: Buffer,
  config: readonly ConfigPair[] = [],
): Promise<void> {
  const [our, their] = [await ours(repository, body, config), await gits(repository, body, config)];
  assert.notEqual(our, undefined, 'git would have been asked');
  assert.equal(our, their);
}

/** Writes a file below the repository that git would not write. */
function writeRaw(repository: Repository, name: string, text: string): void {
  mkdirSync(join(repository.path, dirname(name)), { recursive: true });
  writeFileSync(join(repository.path, name), text);
}

const PARTS = ['a', 'a-b', 'a.b', 'a0', 'ab', 'b', 'z', 'é', 'main'];
const SPACES = ['heads', 'heads', 'tags', 'keep-around', 'merge-requests', 'remotes/origin', 'tmp', 'x'];
const WORDS = [
  'refs',
  'refs/',
  'refs/heads',
  'refs/heads/',
  'refs/heads/a',
  'refs/tags/',
  'refs/heads/a/',
  'HEAD',
  'r',
  'refs/x',
];
const HIDING = [
  'refs/heads/a',
  'refs/heads',
  '!refs/heads/a',
  'refs',
  '!refs/keep-around/',
  '^refs/tags',
  '!^refs/tags/a',
  'HEAD',
  '/',
  '!',
];

class Choices {
  readonly #random: Random;
  constructor(random: Random) {
    this.#random = random;
  }
  below(limit: number): number {
    return Math.floor(this.#random() * limit);
  }
  chance(share: number): boolean {
    return this.#random() < share;
  }
  one<T>(items: readonly T[]): T {
    const item = items[this.below(items.length)];
    assert.ok(item !== undefined);
    return item;
  }
  some<T>(items: readonly T[], most: number): T[] {
    return Array.from({ length: this.below(most + 1) }, () => this.one(items));
  }
  name(): string {
    const parts = Array.from({ length: 1 + this.below(3) }, () => this.one(PARTS));
    return `refs/${this.one(SPACES)}/${parts.join('/')}`;
  }
}

/** Creates commits, tags of tags and a blob; returns their ids and one id without an object. */
function makeObjects(fixture: StorageFixture, path: string, digits: number): string[] {
  const tag = (object: string, type: string, name: string): string =>
    fixture.runGit(
      path,
      ['mktag'],
      `object ${object}\ntype ${type}\ntag ${name}\ntagger T <t@example.com> 1600000000 +0000\n\nm\n`,
    );
  const commits = [1, 2, 3].map((number) => fixture.commit(path, number));
  const blob = fixture.runGit(path, ['hash-object', '-w', '--stdin'], 'x');
  const tagged = tag(commits[0] ?? '', 'commit', 'one');
  return [
    ...commits,
    blob,
    tagged,
    tag(tagged, 'tag', 'two'),
    tag(blob, 'blob', 'three'),
    '1'.repeat(digits),
  ];
}

function changeReferences(
  fixture: StorageFixture,
  repository: Repository,
  objects: readonly string[],
  choices: Choices,
): void {
  const { path } = repository;
  for (let count = 1 + choices.below(20); count > 0; count--) {
    const name = choices.name();
    try {
      // A reference to a missing object is written directly: update-ref would refuse it.
      const oid = choices.one(objects);
      if (/^1+$/.test(oid)) writeRaw(repository, name, `${oid}\n`);
      else if (choices.chance(0.15)) fixture.runGit(path, ['symbolic-ref', name, choices.name()]);
      else if (choices.chance(0.2)) fixture.runGit(path, ['update-ref', '-d', name]);
      else fixture.runGit(path, ['update-ref', name, oid]);
    } catch {
      // A name below or above an existing one.
    }
    if (choices.chance(0.1)) fixture.runGit(path, ['pack-refs', '--all']);
  }
  const target = choices.below(5);
  if (target === 0) writeRaw(repository, 'HEAD', `${choices.one(objects)}\n`);
  else if (target === 1) fixture.runGit(path, ['symbolic-ref', 'HEAD', choices.name()]);
  else if (target === 2) fixture.runGit(path, ['symbolic-ref', 'HEAD', 'refs/heads/main']);
}

for (const objectFormat of ['sha1', 'sha256'] as const) {
  test(`random ${objectFormat} repositories are listed as git lists them (SEED=${SEED})`, async (context) => {
    await using fixture = await StorageFixture.create();
    const choices = new Choices(seededRandom(SEED));
    let asked = 0;
    let answered = 0;
    for (let number = 0; number < REPOSITORIES; number++) {
      const repository = fixture.init(`${number}.git`, { objectFormat });
      const objects = makeObjects(fixture, repository.path, objectFormat === 'sha1' ? 40 : 64);
      for (const value of choices.some(HIDING, 2)) {
        fixture.runGit(repository.path, [
          'config',
          '--add',
          `${choices.one(['transfer', 'uploadpack'])}.hideRefs`,
          value,
        ]);
      }
      if (choices.chance(0.3)) {
        fixture.runGit(repository.path, [
          'config',
          'lsrefs.unborn',
          choices.one(['advertise', 'allow', 'ignore']),
        ]);
      }
      for (let question = 0; question < QUESTIONS; question++) {
        if (question % 3 === 0) changeReferences(fixture, repository, objects, choices);
        const words = [
          ...choices.some(ALL, 4),
          ...choices.some([...WORDS, choices.name()], 4).map((word) => `ref-prefix ${word}`),
        ];
        const config = choices.some(HIDING, 2).map((value) => ({ key: 'transfer.hideRefs', value }));
        const body = lsRefs(words, objectFormat);
        const [our, their] = [await ours(repository, body, config), await gits(repository, body, config)];
        asked++;
        if (our === undefined) continue;
        answered++;
        assert.equal(our, their, `${words.join('; ')} with ${JSON.stringify(config)}`);
      }
    }
    context.diagnostic(`${answered} of ${asked} answered without git`);
    // Damaged references and names that hide all make git answer; how many there are varies.
    assert.ok(answered > asked / 3, `git would have been asked ${asked - answered} times of ${asked}`);
  });
}

test('an empty repository, a detached HEAD and a HEAD at a tag are as in git', async () => {
  await using fixture = await StorageFixture.create();
  const repository = fixture.init('a.git');
  for (const words of [ALL, ['symrefs', 'unborn'], ['unborn'], ['peel'], []])
    await assertSame(repository, lsRefs(words));

  const objects = makeObjects(fixture, repository.path, 40);
  fixture.runGit(repository.path, ['pack-refs', '--all']);
  await assertSame(repository, lsRefs(ALL));
  for (const oid of objects) {
    writeRaw(repository, 'HEAD', `${oid}\n`);
    await assertSame(repository, lsRefs(ALL));
  }
});

test('a request without arguments lists everything', async () => {
  await using fixture = await StorageFixture.create();
  const repository = fixture.init('a.git', { commits: 1 });

  await assertSame(repository, Buffer.from(`${packet('command=ls-refs\n')}${FLUSH}`));
});

test('references hidden by operator, repository and request are hidden as in git', async () => {
  await using fixture = await StorageFixture.create();
  const repository = fixture.init('a.git', { commits: 1 });
  const oid = fixture.runGit(repository.path, ['rev-parse', 'main']);
  for (const name of [
    'keep-around/x',
    'tmp/x',
    'remotes/o/x',
    'heads/secret',
    'heads/secret/',
    'heads/secrets',
    'keep/x',
    'x/y',
  ]) {
    fixture.runGit(repository.path, ['update-ref', `refs/${name.replace(/\/$/, '-too')}`, oid]);
  }
  await assertSame(repository, lsRefs(ALL));
  fixture.runGit(repository.path, ['config', 'transfer.hideRefs', 'refs/heads/secret/']);
  await assertSame(repository, lsRefs(ALL));
  await assertSame(repository, lsRefs(ALL), [{ key: 'Transfer.hideRefs', value: '!refs/heads/secret' }]);
  await assertSame(repository, lsRefs(ALL), [{ key: 'uploadpack.HideRefs', value: '!refs/keep-around' }]);
  fixture.runGit(repository.path, ['pack-refs', '--all']);
  await assertSame(repository, lsRefs(ALL), [{ key: 'transfer.hideRefs', value: '!refs' }]);
  await assertSame(repository, lsRefs(ALL), [{ key: 'transfer.hideRefs', value: 'refs' }]);
});

test('changes by git show at once, packed or not', async () => {
  await using fixture = await StorageFixture.create();
  const repository = fixture.init('a.git', { commits: 2 });
  const git = (...args: string[]): string => fixture.runGit(repository.path, args);
  for (let round = 0; round < 30; round++) {
    git('update-ref', `refs/heads/b${round % 7}`, round % 2 === 0 ? 'main' : 'main~1');
    if (round % 3 === 0) git('tag', '-f', '-a', '-m', 'm', `t${round % 5}`, 'main~1');
    if (round % 4 === 0) git('pack-refs', '--all');
    if (round % 5 === 4) git('update-ref', '-d', `refs/heads/b${(round + 3) % 7}`);
    await assertSame(repository, lsRefs(ALL));
  }
});

test('packed references of many blocks are listed as git lists them', async () => {
  await using fixture = await StorageFixture.create();
  const repository = fixture.init('a.git', { commits: 1 });
  const oid = fixture.runGit(repository.path, ['rev-parse', 'main']);
  const tag = makeObjects(fixture, repository.path, 40)[5];
  const updates = Array.from({ length: 9000 }, (_, number) => {
    const space = number % 3 === 0 ? 'tags' : number % 3 === 1 ? 'heads' : 'merge-requests';
    return (
      `create refs/${space}/${'x'.repeat(number % 90)}${number} ` +
      `${number % 7 === 0 && space !== 'heads' ? tag : oid}\n`
    );
  });
  fixture.runGit(repository.path, ['update-ref', '--stdin'], updates.join(''));
  fixture.runGit(repository.path, ['pack-refs', '--all', '--prune']);
  fixture.runGit(repository.path, ['update-ref', 'refs/heads/xxxxx', oid]);

  await assertSame(repository, lsRefs(ALL));
  await assertSame(repository, lsRefs(['symrefs']));
  await assertSame(
    repository,
    lsRefs([...ALL, 'ref-prefix refs/heads/', 'ref-prefix refs/tags/', 'ref-prefix HEAD']),
  );
  await assertSame(repository, lsRefs([...ALL, 'ref-prefix refs/heads/xx', 'ref-prefix refs/heads/xxxx4']));
});

/** Only git can read these. */
const ODDITIES: Readonly<Record<string, (repository: Repository, oid: string) => void>> = {
  'a reference of zeros': (repository) => writeRaw(repository, 'refs/heads/z', `${'0'.repeat(40)}\n`),
  'a reference of garbage': (repository) => writeRaw(repository, 'refs/heads/z', 'garbage\n'),
  'a name that git does not allow': (repository, oid) =>
    writeRaw(repository, 'refs/heads/a name', `${oid}\n`),
  'packed-refs that are not sorted': (repository, oid) =>
    writeRaw(
      repository,
      'packed-refs',
      `# pack-refs with: peeled fully-peeled sorted \n${oid} refs/b\n${oid} refs/a\n`,
    ),
  'packed-refs without a header': (repository, oid) =>
    writeRaw(repository, 'packed-refs', `${oid} refs/tags/a\n`),
  'settings from elsewhere': ({ path }) =>
    appendFileSync(`${path}/config`, '[include]\n\tpath = /dev/null\n'),
  'a setting in quotes': ({ path }) =>
    appendFileSync(`${path}/config`, '[transfer]\n\thideRefs = "refs/tags"\n'),
  'a repository without a config file': ({ path }) => rmSync(`${path}/config`),
  'packed-refs that are a directory': ({ path }) => mkdirSync(`${path}/packed-refs`),
  'a setting that is not known here': ({ path }) =>
    appendFileSync(`${path}/config`, '[core]\n\tsharedRepository = group\n'),
};

for (const [what, make] of Object.entries(ODDITIES)) {
  test(`${what} is left to git`, async () => {
    await using fixture = await StorageFixture.create();
    const repository = fixture.init('a.git', { commits: 1 });
    assert.notEqual(await ours(repository, lsRefs(ALL)), undefined);

    make(repository, fixture.runGit(repository.path, ['rev-parse', 'main']));

    assert.equal(await ours(repository, lsRefs(ALL)), undefined);
  });
}

test('a client of another object format, and settings that are not known here, are left to git', async () => {
  await using fixture = await StorageFixture.create();
  const repository = fixture.init('a.git', { commits: 1 });

  assert.equal(await ours(repository, lsRefs(ALL, 'sha256')), undefined);
  for (const key of [
    'core.useReplaceRefs',
    'include.path',
    'transfer.x.hideRefs',
    'nodot',
    'lsrefs.unborn',
  ]) {
    assert.equal(await ours(repository, lsRefs(ALL), [{ key, value: 'true' }]), undefined, key);
  }
});

test('a prefix that leads out of the repository is left to git', async () => {
  await using fixture = await StorageFixture.create();
  const repository = fixture.init('a.git', { commits: 1 });

  assert.equal(await ours(repository, lsRefs([...ALL, 'ref-prefix refs/../'])), undefined);
});
