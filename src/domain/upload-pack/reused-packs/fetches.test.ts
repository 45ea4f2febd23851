import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FallBackToGit } from '#git/command/in-process';
import { fastImport } from '#testkit/repositories/commit-files';
import { askGit, type Question, readAnswer } from '#testkit/repositories/generated/answered-fetch';
import {
  type Made,
  PACKINGS,
  packAll,
  packedHistories,
  requestOf,
  tipsOf,
} from '#testkit/repositories/generated/packed-histories';
import { gitOutput } from '#testkit/repositories/init-repository';
import { type Random, seededRandom } from '#testkit/repositories/random-history';
import { seededShare } from '#testkit/seeded-share';
import { testSeed } from '#testkit/test-seed';
import { until } from '#testkit/until';
import { negotiate } from '../walked-packs/negotiate.ts';
import { walkedRequest } from '../walked-packs/walked-request.ts';
import { findReusedPacks } from './find-reused-packs.ts';
import { sendReusedPacks } from './send-reused-packs.ts';

const { fixture, make } = await packedHistories();
const { signal } = new AbortController();
const OBJECT_FORMATS = seededShare(['sha1', 'sha256'] as const, 1 / 2);
const COMMITS = 400;
const ROUNDS = 8;

/** Answers a fetch; else the reason why git has to. */
async function answer({ relativePath }: Made, { others, wants }: Question): Promise<Buffer | string> {
  const repository = fixture.storages.open({ storageName: 'default', relativePath });
  const fetch = { repository, config: [] };
  const request = requestOf(wants, others);
  const chunks: Buffer[] = [];
  const write = (bytes: Buffer): undefined => void chunks.push(Buffer.from(bytes));
  try {
    if (!request.isDone) {
      const negotiated = await negotiate(repository, walkedRequest(fetch, request), signal);
      if (!negotiated.isReady) return negotiated.answer;
    }
    await using reused = await findReusedPacks(fetch, request, { trace: { env: {} }, signal });
    await sendReusedPacks(reused, { write }, { objects: repository.objects, hasProgress: false, signal });
  } catch (error) {
    if (error instanceof FallBackToGit) return error.message;
    throw error;
  }
  return Buffer.concat(chunks);
}

/** Returns the ids of all that some commits need. */
function reachedBy({ path }: Made, oids: readonly string[]): ReadonlySet<string> {
  const list = ['rev-list', '--objects', '--no-object-names', '--stdin'];
  return new Set(gitOutput(path, list, oids.join('\n')).split('\n').filter(Boolean));
}

/** Returns a stream of commits on the branch `large`, each of which changes one of many files. */
function largeDirectories(commits: number, files: number): string {
  const head = (index: number) =>
    `commit refs/heads/large\ncommitter C <c@example.com> ${1_700_000_000 + index} +0000\ndata 1\nm\n`;
  const file = (index: number, text: string) => `M 100644 inline f${index}\ndata ${text.length}\n${text}\n`;
  const first = Array.from({ length: files }, (_, index) => file(index, 'x')).join('');
  const next = (_: unknown, index: number) => head(index + 1) + file(index, `y${index}`);
  return head(0) + first + Array.from({ length: commits }, next).join('');
}

function some<T>(random: Random, items: readonly T[], most: number): T[] {
  const chosen = Array.from({ length: 1 + Math.floor(random() * most) }, () => {
    return items[Math.floor(random() * items.length)] ?? assert.fail('there are no items');
  });
  return [...new Set(chosen)];
}

for (const objectFormat of OBJECT_FORMATS)
  for (const [how, pack] of Object.entries(PACKINGS))
    test(`a client with commits gets what it lacks of ${how}, ${objectFormat}`, async () => {
      const random = seededRandom(testSeed());
      const made = make(random() * 2 ** 32, objectFormat, how === 'several packs' ? 60 : COMMITS);
      pack(made);
      const tips = tipsOf(made);
      const commits = made.git('rev-list', '--all').split('\n');
      for (let round = 0; round < ROUNDS; round++) {
        const wants = some(random, random() < 0.5 ? tips : commits, 3);
        const haves = some(random, commits, 3);
        const done = random() < 0.7 ? ['done'] : [];
        const tags = random() < 0.5 ? ['include-tag'] : [];
        const question = { wants, others: [...haves.map((oid) => `have ${oid}`), ...tags, ...done] };
        const what = JSON.stringify(question);

        const answered = await answer(made, question);

        if (typeof answered === 'string') assert.fail(`${answered}: ${what}`);
        const own = readAnswer(made, answered, objectFormat);
        const expected = readAnswer(made, askGit(made, question), objectFormat);
        const packSection = (lines: readonly string[]): string[] =>
          lines.filter((line) => !/^ACK/.test(line));
        assert.deepEqual(packSection(own.lines), packSection(expected.lines), what);
        const ofClient = reachedBy(made, haves);
        const lacking = expected.ids.filter((oid) => !ofClient.has(oid));
        assert.deepEqual(own.ids, lacking, what);
        const needed = own.bases.filter((oid) => !ofClient.has(oid));
        assert.deepEqual(needed, [], `bases are missing for ${what}`);
      }
    });

test('many commits with large directories are compared for several fetches, and then known', async () => {
  const made = make(4);
  fastImport(made.path, Buffer.from(largeDirectories(300, 5000)));
  made.git('-c', 'pack.depth=4', 'repack', '-adbqf'); // longer chains are left to git
  let left = 0;
  for (const [want, have] of [
    ['large~150', 'large~290'],
    ['large~130', 'large~250'],
    ['large~140', 'large~270'],
  ] as const) {
    const ids = [made.git('rev-parse', want), made.git('rev-parse', have)] as const;
    const question = { wants: [ids[0]], others: [`have ${ids[1]}`, 'done'] };
    let answered = await answer(made, question);
    for (let again = 0; answered === 'commits were not compared yet' && again < 40; again++, left++)
      answered = await answer(made, question);

    if (typeof answered === 'string') assert.fail(answered);
    const expected = readAnswer(made, askGit(made, question), 'sha1').ids;
    assert.deepEqual(readAnswer(made, answered, 'sha1').ids, expected);
  }
  assert.ok(left > 0, 'git serves the first ones');
});

test('a tag of a wanted tag is not sent if the client has the commit of both', async () => {
  const made = make(3);
  packAll(made);
  const [tag, commit] = [made.git('rev-parse', 'two^{tag}'), made.git('rev-parse', 'two^{commit}')];
  const [, inner = ''] = /^object (.*)$/m.exec(made.git('cat-file', 'tag', tag)) ?? [];
  const question = { wants: [inner], others: [`have ${commit}`, 'include-tag', 'done'] };

  const own = readAnswer(made, Buffer.from(await answer(made, question)), 'sha1');

  assert.deepEqual(own.ids, readAnswer(made, askGit(made, question), 'sha1').ids);
  assert.deepEqual(own.ids, [inner]);
});

/** Starts requests whose objects are searched for until the returned function is called. */
function searchFor({ relativePath }: Made, others: readonly string[], wants: readonly string[]) {
  const repository = fixture.storages.open({ storageName: 'default', relativePath });
  const { promise: isEnding, resolve: end } = Promise.withResolvers<void>();
  const { refs } = repository;
  let searching = 0;
  const refused: string[] = [];
  const list: typeof refs.list = async function* (...given) {
    searching++;
    await isEnding;
    yield* refs.list(...given);
  };
  Object.defineProperty(repository, 'refs', { value: { list } });
  const requests = wants.map(async (want) => {
    const request = requestOf([want], ['include-tag', ...others, 'done']);
    const fetch = { repository, config: [] };
    try {
      await using _ = await findReusedPacks(fetch, request, { trace: { env: {} }, signal });
    } catch (error) {
      refused.push(String(error));
    }
  });
  const ended = async (): Promise<void> => {
    end();
    await Promise.all(requests);
  };
  return { searching: () => searching, refused, ended };
}

test('a client with commits does not wait for clones whose objects are still searched', async () => {
  const made = make(2);
  packAll(made);
  const [main, old] = [made.git('rev-parse', 'main'), made.git('rev-parse', 'c5')];
  const clones = searchFor(made, [], [main, old]);
  await until(() => clones.searching() === 2, 'both clones are searched for');

  const answered = await answer(made, { wants: [main], others: [`have ${old}`, 'done'] });

  await clones.ended();
  assert.equal(typeof answered, 'object');
  assert.deepEqual(clones.refused, []);
});

test('git answers clients with commits if many others wait', async () => {
  const made = make(2);
  packAll(made);
  const [main, old] = [made.git('rev-parse', 'main'), made.git('rev-parse', 'c5')];

  const fetches = searchFor(made, [`have ${old}`], Array<string>(30).fill(main));
  await until(
    () => fetches.refused.length === 12 && fetches.searching() === 2,
    () => `two are searched for, and 16 wait: ${fetches.searching()}, ${fetches.refused.length} refused`,
  );
  await fetches.ended();
  assert.equal(fetches.searching(), 18);
  assert.deepEqual([...new Set(fetches.refused)], ['FallBackToGit: bitmaps are in use']);
});

test('git answers fetches of commits outside the packs, with filters and with depths', async () => {
  const made = make(1);
  packAll(made);
  const [main, old] = [made.git('rev-parse', 'main'), made.git('rev-parse', 'c5')];
  const fetch = (wants: string, ...others: string[]) =>
    answer(made, { wants: [wants], others: [...others, 'done'] });
  assert.equal(typeof (await fetch(main, `have ${old}`)), 'object');
  for (const other of ['filter blob:none', 'filter tree:0', 'deepen 3', `shallow ${old}`])
    assert.match(String(await fetch(main, `have ${old}`, other)), /^the request is not a plain/, other);
  const tree = made.git('rev-parse', 'main:');
  const added = made.git('commit-tree', '-m', 'added', '-p', main, tree);
  for (const [want, have] of [
    [added, main],
    [main, added],
  ] as const)
    assert.equal(await fetch(want, `have ${have}`), 'commits are in no pack with bitmaps');
});

test('the delta of an object whose base the client does not get is to an earlier version', async () => {
  const made = make(2);
  packAll(made);
  for (let number = 5; number < 12; number++) {
    const [want, have] = [made.git('rev-parse', `s${number}`), made.git('rev-parse', `s${number - 1}`)];
    const question = { wants: [want], others: [`have ${have}`, 'done'] };

    const answered = await answer(made, question);

    assert.ok(typeof answered === 'object');
    const { bases, bytes } = readAnswer(made, answered, 'sha1');
    // git sends the whole file, which is compressed to more than two kilobytes.
    assert.ok(bytes < 1000, `${bytes} bytes`);
    assert.equal(bases.length, 1);
  }
});
