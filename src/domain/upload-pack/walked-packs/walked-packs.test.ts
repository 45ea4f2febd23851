import assert from 'node:assert/strict';
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { GitalyError } from '#base/gitaly-error';
import { onViolation, type Violation } from '#base/invariant';
import { FallBackToGit } from '#git/command/in-process';
import type { Repository } from '#storage/repository';
import { askGit, type Question, readAnswer } from '#testkit/repositories/generated/answered-fetch';
import {
  type Made,
  PACKINGS,
  packedHistories,
  requestOf,
  tipsOf,
  unpackAll,
} from '#testkit/repositories/generated/packed-histories';
import { gitOutput } from '#testkit/repositories/init-repository';
import { type Random, seededRandom } from '#testkit/repositories/random-history';
import { seededShare } from '#testkit/seeded-share';
import { testSeed } from '#testkit/test-seed';
import { until } from '#testkit/until';
import { findWalkedPack } from './find-walked-pack.ts';
import { negotiate } from './negotiate.ts';
import { sendWalkedPack } from './send-walked-pack.ts';
import { walkedRequest } from './walked-request.ts';

const { fixture, make } = await packedHistories();
const { signal } = new AbortController();
const COMMITS = 60;
const ROUNDS = 12;
/** Reasons for which git serves a client that has objects. */
const LIMITS_OF_CLIENTS: ReadonlySet<string> = new Set([
  'many objects have to be compressed',
  'there are very many commits',
  'there are very many objects',
]);
/** Histories are random, and so is the format of their repositories; the soak tries both. */
const OBJECT_FORMATS = seededShare(['sha1', 'sha256'] as const, 1 / 2);

function repositoryOf({ relativePath }: Made): Repository {
  return fixture.storages.open({ storageName: 'default', relativePath });
}

async function writeGraph(made: Made): Promise<void> {
  made.git('commit-graph', 'write', '--reachable');
  await until(() => repositoryOf(made).commits.graph !== undefined, 'the commit-graph is read');
}

/** Answers a question; else the reason why git has to. */
async function answer(made: Made, { others, wants }: Question): Promise<Buffer | string> {
  const repository = repositoryOf(made);
  const request = requestOf(wants, others);
  const chunks: Buffer[] = [];
  const write = (bytes: Buffer): undefined => void chunks.push(Buffer.from(bytes));
  try {
    const fetch = { repository, config: [] };
    if (!request.isDone) {
      const negotiated = await negotiate(repository, walkedRequest(fetch, request), signal);
      if (!negotiated.isReady) return negotiated.answer;
    }
    using pack = await findWalkedPack(fetch, request, signal);
    await sendWalkedPack(pack, { write }, { repository, signal });
  } catch (error) {
    if (error instanceof FallBackToGit) return error.message;
    throw error;
  }
  return Buffer.concat(chunks);
}

const pick = <T>(random: Random, items: readonly T[]): T => {
  const item = items[Math.floor(random() * items.length)];
  return item ?? assert.fail('nothing to pick');
};

/** Chooses what a client wants and has: commits, tags, unknown ones, depth, filter. */
function ask(made: Made, random: Random): Question {
  const commit = (): string => made.git('rev-parse', `c${1 + Math.floor(random() * COMMITS)}`);
  const some = (most: number, make: () => string): string[] =>
    Array.from({ length: Math.floor(random() * (most + 1)) }, make);
  const tips = tipsOf(made);
  const wants = [random() < 0.5 ? pick(random, tips) : commit(), ...some(2, () => pick(random, tips))];
  const hasUnknown = random() < 0.3;
  const digits = wants[0]?.length ?? 40;
  const haves = random() < 0.7 ? some(4, commit) : [];
  const others = [
    ...haves.map((oid) => `have ${oid}`),
    ...(hasUnknown ? [`have ${'1'.repeat(digits)}`] : []),
    ...(random() < 0.3 ? some(3, commit).map((oid) => `shallow ${oid}`) : []),
    ...(random() < 0.4 ? [`deepen ${1 + Math.floor(random() * 8)}`] : []),
    ...(random() < 0.3 ? [pick(random, ['filter blob:none', 'filter tree:0'])] : []),
    ...(random() < 0.5 ? ['include-tag'] : []),
    ...(random() < 0.5 || (haves.length === 0 && !hasUnknown) ? ['done'] : []),
  ];
  return { wants: [...new Set(wants)], others };
}

/** Returns what a client has by its question. */
function objectsOfClient({ git }: Made, { others }: Question): ReadonlySet<string> {
  const named = (word: string): string[] =>
    others
      .filter((each) => each.startsWith(word) && !each.endsWith('11111111'))
      .map((each) => each.slice(word.length));
  const list = ['rev-list', '--objects', '--no-object-names'];
  const [haves, shallow] = [named('have '), named('shallow ')];
  return new Set([
    ...(haves.length > 0 ? git(...list, ...haves).split('\n') : []),
    ...(shallow.length > 0 ? git(...list, '--no-walk', ...shallow).split('\n') : []),
  ]);
}

/** Chooses how the objects of a repository are stored. */
async function store(made: Made, packing: Packing | 'loose', random: Random): Promise<void> {
  made.git('config', 'pack.writeReverseIndex', 'true');
  if (packing === 'loose') unpackAll(made.path);
  else PACKINGS[packing](made);
  if (random() < 0.7) await writeGraph(made);
}

/**
 * Newer gits leave out the acknowledgement of a commit whose child the client has named before, as
 * that of the child says the same. Older ones send both, and so does this server. With a depth of
 * 1, git repeats the line of a commit that is wanted by a tag, too.
 */
function assertSameLines(own: readonly string[], expected: readonly string[], what: string): void {
  const isAck = (line: string): boolean => line.startsWith('ACK ');
  assert.deepEqual(
    own.filter((line) => !isAck(line)),
    [...new Set(expected.filter((line) => !isAck(line)))],
    what,
  );
  const acknowledged = own.filter(isAck);
  assert.deepEqual(
    expected.filter((line) => isAck(line) && !acknowledged.includes(line)),
    [],
    what,
  );
  const named = acknowledged.every((line) => what.includes(`have ${line.slice('ACK '.length).trim()}`));
  assert.ok(named && acknowledged.length > 0 === expected.some(isAck), what);
}

type Packing = keyof typeof PACKINGS;
const STORED: readonly (Packing | 'loose')[] = [
  'one pack',
  'one pack with names of bases',
  'several packs',
  'loose',
];

for (const objectFormat of OBJECT_FORMATS)
  for (const packing of STORED)
    test(`fetches get the objects that git sends: ${packing}, ${objectFormat}`, async () => {
      const random = seededRandom(testSeed());
      const made = make(random() * 2 ** 32, objectFormat, COMMITS);
      await store(made, packing, random);
      let answeredHere = 0;
      for (let round = 0; round < ROUNDS; round++) {
        const question = ask(made, random);
        const what = JSON.stringify(question);

        const answered = await answer(made, question);

        if (typeof answered === 'string') {
          assert.ok(LIMITS_OF_CLIENTS.has(answered), `${answered}: ${what}`);
          continue;
        }
        answeredHere++;
        const own = readAnswer(made, answered, objectFormat);
        const expected = readAnswer(made, askGit(made, question), objectFormat);
        assertSameLines(own.lines, expected.lines, what);
        const ofClient = objectsOfClient(made, question);
        // With wrong dates git also sends commits that the client has.
        const isWhole = !question.others.some((word) => word.startsWith('shallow '));
        const missing = expected.ids.filter(
          (oid) => !own.ids.includes(oid) && !(isWhole && ofClient.has(oid)),
        );
        assert.deepEqual(missing, [], `objects are missing for ${what}`);
        const needless = own.ids.filter((oid) => !expected.ids.includes(oid) && !ofClient.has(oid));
        assert.deepEqual(needless, [], `objects are not needed for ${what}`);
        assert.deepEqual(
          own.bases.filter((oid) => !ofClient.has(oid)),
          [],
          `bases are missing for ${what}`,
        );
      }
      assert.ok(answeredHere > 0, 'some are answered in process');
    });

test('a commit that is wanted by tags, too, is cut off with one line', async () => {
  const made = make(11);
  unpackAll(made.path);
  const wants = made.git('rev-parse', 'one^{}', 'one', 'two').split('\n');
  const question = { wants, others: ['deepen 1', 'done'] };

  const answered = await answer(made, question);

  assert.ok(typeof answered === 'object', String(answered));
  const [own, gits] = [readAnswer(made, answered, 'sha1'), readAnswer(made, askGit(made, question), 'sha1')];
  assert.deepEqual(own.lines, ['shallow-info\n', `shallow ${wants[0]}`].sort());
  assertSameLines(own.lines, gits.lines, JSON.stringify(question));
  assert.deepEqual(own.ids, gits.ids);
});

test('git serves packs without a reverse index, and requests that are not plain', async () => {
  const made = make(11);
  const [want = ''] = tipsOf(made);
  PACKINGS['one pack without a reverse index'](made);
  assert.equal(await answer(made, { wants: [want], others: ['done'] }), 'there is no reverse index');
  made.git('-c', 'pack.writeReverseIndex=true', 'repack', '-adbqf');
  assert.equal(typeof (await answer(made, { wants: [want], others: ['done'] })), 'object');
  for (const other of ['deepen-since 1', 'deepen 2147483647', 'filter blob:limit=5', 'wait-for-done'])
    assert.match(String(await answer(made, { wants: [want], others: [other, 'done'] })), /^only git/, other);
  const file = made.git('rev-parse', 'main:');
  const answered = await answer(made, { wants: [want], others: [`have ${file}`] });
  assert.equal(answered, 'the client has an object that is no commit');
});

test('git reports a missing object, before anything is sent', async () => {
  const made = make(12);
  unpackAll(made.path);
  const question = { wants: [made.git('rev-parse', 'main')], others: ['deepen 1', 'done'] };
  const [, , file = ''] = made.git('ls-tree', '-r', 'main').split(/\s/);
  rmSync(join(made.path, 'objects', file.slice(0, 2), file.slice(2)));
  assert.equal(await answer(made, question), 'an object is missing');
});

test('a damaged reverse index gives the right objects, or none', async () => {
  const random = seededRandom(testSeed());
  const made = make(13);
  made.git('config', 'pack.writeReverseIndex', 'true');
  PACKINGS['one pack'](made);
  const question = { wants: [made.git('rev-parse', 'main')], others: ['deepen 3', 'done'] };
  const expected = readAnswer(made, askGit(made, question), 'sha1');
  const directory = join(made.path, 'objects/pack');
  const [name = ''] = readdirSync(directory).filter((each) => each.endsWith('.rev'));
  const index = readFileSync(join(directory, name));
  let refused = 0;
  for (let round = 0; round < 40; round++) {
    const damaged = Buffer.from(index);
    damaged[Math.floor(random() * damaged.length)] = Math.floor(random() * 256);
    rmSync(join(directory, name));
    // One that is too short is always noticed.
    const isCut = random() < 0.2 || round === 0;
    writeFileSync(join(directory, name), isCut ? damaged.subarray(1) : damaged);
    fixture.caches.forget(repositoryOf(made));
    const answered = await answer(made, question).catch(textOfDamage);
    if (typeof answered === 'string') refused++;
    // git as the client refuses bytes that are no objects.
    else if (isReadable(made, answered))
      assert.deepEqual(readAnswer(made, answered, 'sha1').ids, expected.ids);
  }
  assert.ok(refused > 0, 'some are noticed here');
});

/** Returns the text of damage that is found when the pack is on its way: it ends the answer. */
function textOfDamage(error: unknown): string {
  assert.ok(error instanceof GitalyError && error.code === 'INTERNAL', String(error));
  return error.message;
}

function isReadable(made: Made, answered: Buffer): boolean {
  try {
    return readAnswer(made, answered, 'sha1').ids.length > 0;
  } catch {
    return false;
  }
}

for (const hasGraph of [false, true])
  test(`jobs of a pipeline get nothing twice, ${hasGraph ? 'with' : 'without'} a commit-graph`, async () => {
    const made = make(14);
    const { git } = made;
    const tree = (...lines: string[]): string => gitOutput(made.path, ['mktree'], `${lines.join('\n')}\n`);
    const [one, two, inner] = ['1', '2', '3'].map((text) =>
      gitOutput(made.path, ['hash-object', '-w', '--stdin'], text.repeat(99)),
    );
    const directory = tree(`100644 blob ${inner}\tinner`, `100644 blob ${two}\ttwo`);
    const moved = tree(`100644 blob ${inner}\tinner`);
    const commit = (...words: string[]): string => git('commit-tree', '-m', 'x', ...words);
    const commits: string[] = [];
    // Each has what the one before has, or a part of it at other paths.
    for (const each of [
      tree(`100644 blob ${one}\told`, `040000 tree ${directory}\tfolder`),
      tree(`100644 blob ${one}\tnew`, `040000 tree ${directory}\tfolder`),
      tree(`100644 blob ${one}\tnew`, `040000 tree ${moved}\tother`),
      tree(`100644 blob ${two}\tnew`, `040000 tree ${moved}\tother`),
    ]) {
      const parents = commits.slice(-1).flatMap((parent) => ['-p', parent]);
      commits.push(commit(...parents, each));
    }
    const [first = '', second = '', third = '', last = ''] = commits;
    const side = commit('-p', first, tree(`100644 blob ${one}\tside`));
    const merge = commit('-p', last, '-p', side, tree(`100644 blob ${two}\tside`));
    git('update-ref', 'refs/heads/jobs', merge);
    unpackAll(made.path);
    if (hasGraph) await writeGraph(made);
    for (const [want, ...others] of [
      [second, `have ${first}`],
      [third, `have ${second}`],
      [last, `have ${first}`],
      // The side branch begins before commits of the client.
      [merge, `have ${last}`],
      [second, `shallow ${first}`, `have ${first}`, 'deepen 1'],
      [third, `shallow ${second}`, `have ${second}`, 'deepen 1'],
      [last, `shallow ${last}`, `have ${last}`, 'deepen 3'],
      [last, `shallow ${third}`, `have ${third}`, 'deepen 4'],
    ] as const) {
      const question = { wants: [want], others: [...others, 'done'] };
      const answered = await answer(made, question);
      assert.ok(typeof answered === 'object', String(answered));
      const [own, gits] = [
        readAnswer(made, answered, 'sha1'),
        readAnswer(made, askGit(made, question), 'sha1'),
      ];
      assert.deepEqual(own.lines, gits.lines);
      // git sends some renamed files again. A shallow client has one commit.
      const isShallow = others.some((word) => word.startsWith('shallow'));
      const has = others.find((word) => word.startsWith('have'))?.slice('have '.length) ?? '';
      const list = ['rev-list', '--objects', '--no-object-names', ...(isShallow ? ['--no-walk'] : [])];
      const ofClient = new Set(git(...list, has).split('\n'));
      const needed = gits.ids.filter((oid) => !ofClient.has(oid));
      assert.deepEqual(own.ids, needed, JSON.stringify(question));
    }
  });

test('a pack with another number of objects than its header is not ended', async () => {
  const made = make(2);
  unpackAll(made.path);
  await writeGraph(made);
  const repository = repositoryOf(made);
  const request = requestOf(tipsOf(made), ['deepen 3', 'done']);
  using pack = await findWalkedPack({ repository, config: [] }, request, signal);
  const broken: Violation[] = [];
  using _listening = onViolation((violation) => broken.push(violation));
  const chunks: Buffer[] = [];
  const write = (bytes: Buffer): undefined => void chunks.push(Buffer.from(bytes));

  const sending = sendWalkedPack({ ...pack, count: pack.count + 1 }, { write }, { repository, signal });

  await assert.rejects(sending, { code: 'INTERNAL' });
  const what = 'a pack has another number of objects';
  assert.deepEqual(broken, [{ invariant: 'pack-entries', what }]);
  assert.doesNotMatch(Buffer.concat(chunks).toString('latin1'), /0000$/);
});
