import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, suite, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { InProcess } from '#git/command/in-process';
import { OID_BYTES } from '#git/names/object-id';
import { RefReader } from '#git/refs/ref-reader';
import { RefCaches } from '#git/refs/resolve/ref-caches';
import type { GitRepository } from '#git/repository';
import { fc } from '#testkit/fast-check';
import { GitFixture } from '#testkit/repositories/git-fixture';
import { gitOutput } from '#testkit/repositories/init-repository';
import { needsGit } from '#testkit/repositories/needs-git';
import { seededRandom } from '#testkit/repositories/random-history';
import { ReferencesFixture, type ReferencesRepository } from '#testkit/repositories/references-fixture';
import { GIT_ENVIRONMENT } from '#testkit/repositories/run-git';
import { runSync } from '#testkit/run-program-sync';
import { extent, repetitions } from '#testkit/soak';
import { testSeed } from '#testkit/test-seed';
import { Stacks } from './stacks.ts';

const PATTERNS = ['refs/', 'refs/heads', 'refs/heads/a*', 'refs/**/head', 'refs/tags/', 'refs/heads/a/b'];
const NO_COMPACTION = { ...GIT_ENVIRONMENT, GIT_TEST_REFTABLE_AUTOCOMPACTION: 'false' };

const fixture = await ReferencesFixture.start();
const gitAlone = await GitFixture.start({ inProcess: new InProcess({ isEnabled: false }) });
after(async () => {
  await fixture.close();
  await gitAlone.close();
});

/** References that are symbolic: to branches, to each other, in a circle, or to nothing. */
const SYMBOLIC: ReadonlySet<string> = new Set(['HEAD', 'refs/heads/z-link', 'refs/links/x']);

interface Change {
  readonly name: string;
  readonly target: number;
  readonly how: 'update' | 'delete' | 'tag';
}

const component = fc.stringMatching(/^[a-cé-]{1,3}$/).filter((text) => !text.startsWith('-'));
const name = fc.oneof(
  fc.array(component, { minLength: 1, maxLength: 3 }).map((parts) => `refs/heads/${parts.join('/')}`),
  fc.nat(400).map((number) => `refs/merge-requests/${number}/head`),
  fc.nat(60).map((length) => `refs/heads/${'a'.repeat(length + 1)}`),
  fc.constantFrom('refs/heads/main', 'refs/heads/master', 'HEAD', 'refs/heads/z-link', 'refs/links/x'),
);
const change: fc.Arbitrary<Change> = fc.record({
  name,
  target: fc.nat(2),
  how: fc.constantFrom('update', 'update', 'update', 'tag', 'delete'),
});

/** Makes changes in one transaction each; git refuses some, which then change nothing. */
function apply(made: ReferencesRepository, tables: readonly (readonly Change[])[], compacts: boolean): void {
  const tag = makeTag(made);
  for (const changes of tables) {
    const first = new Map(changes.map((each) => [each.name, each])).values();
    const lines = Array.from(first, (each) => lineOf(made, each, { tag, all: changes }));
    const run = { cwd: made.path, env: compacts ? GIT_ENVIRONMENT : NO_COMPACTION, input: lines.join('') };
    if (runSync('git', ['update-ref', '--no-deref', '--stdin'], run).code === 0) continue;
    for (const line of lines)
      runSync('git', ['update-ref', '--no-deref', '--stdin'], { ...run, input: line });
  }
}

function lineOf(
  { commits }: ReferencesRepository,
  { name: ref, target, how }: Change,
  { tag, all }: { tag: string; all: readonly Change[] },
): string {
  const branch = all.find((each) => each.name.startsWith('refs/heads/') && !SYMBOLIC.has(each.name))?.name;
  const targets = [branch ?? 'refs/heads/none', 'refs/links/x', 'refs/heads/z-link'];
  if (SYMBOLIC.has(ref)) return `symref-update ${ref} ${targets[target]}\n`;
  if (how === 'delete') return `update ${ref} ${'0'.repeat(tag.length)}\n`;
  return `update ${ref} ${how === 'tag' && !ref.startsWith('refs/heads') ? tag : commits[target]}\n`;
}

/** Returns the results of all questions, or their errors. */
async function answers(
  { refs }: Pick<GitRepository, 'refs'>,
  names: readonly string[],
  peel = true,
): Promise<unknown[]> {
  const ask = async (question: () => unknown): Promise<unknown> => {
    try {
      return await question();
    } catch (error) {
      return error instanceof Error ? error.name : 'unknown';
    }
  };
  const found: unknown[] = [];
  for (const pattern of PATTERNS)
    found.push(
      await ask(async () =>
        (await Array.fromAsync(refs.list({ patterns: [pattern] }, { peel })))
          .flat()
          .map(
            ({ oid, name: ref, peeledOid }) =>
              `${oid} ${ref.toString('latin1')} ${(peel && peeledOid) || ''}`,
          ),
      ),
    );
  for (const ref of names) {
    found.push(ref, await ask(() => refs.read(ref)), await ask(async () => (await refs.resolve(ref))?.oid));
    found.push(await ask(() => refs.exists(ref)));
    if (ref !== 'HEAD') found.push(await ask(async () => (await refs.find(Buffer.from(ref)))?.oid));
  }
  found.push(await ask(() => refs.headTarget()), await ask(() => refs.hasBranches()));
  found.push(await ask(() => refs.defaultBranch()));
  return found;
}

const skip = needsGit('reftable');

suite('reftables', { skip }, () => {
  test('all questions about random stacks have the answers of git', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom('sha1', 'sha256'),
        fc.constantFrom('256', '1024', '4096'),
        fc.boolean(),
        fc.array(fc.array(change, { minLength: 1, maxLength: 60 }), { minLength: 1, maxLength: 8 }),
        async (format, blockSize, compacts, tables) => {
          const made = createRepository(format);
          made.run('config', 'reftable.blockSize', blockSize);
          apply(made, tables, compacts);
          const names = [...new Set(tables.flat().map((each) => each.name)), 'refs/heads/none', 'HEAD'].slice(
            -12,
          );

          const expected = await answers(gitAlone.open(made.path), names);
          assert.deepEqual(await answers(made.repository, names), expected);
        },
      ),
      { numRuns: repetitions('REFTABLE_STACKS', { short: 6, long: 300 }) },
    );
  });

  test('a stack of many tables and references has the references that git lists', async () => {
    const count = extent('REFTABLE_REFERENCES', { short: 3_000, long: 200_000 });
    const tables = extent('REFTABLE_TABLES', { short: 12, long: 40 });
    const random = seededRandom(testSeed());
    const below = (limit: number): number => Math.floor(random() * limit);
    for (const format of ['sha1', 'sha256'] as const) {
      const made = createRepository(format);
      const names = largeNames(count);
      const zeros = '0'.repeat(made.commits[0]?.length ?? 0);
      for (let table = 0; table < tables; table++) {
        const some = new Set(Array.from({ length: count / 20 }, () => names[below(count)] ?? ''));
        const changed = table === 0 ? names : [...some];
        const lines = changed.map((ref) => {
          const isDeleted = table > 0 && below(4) === 0;
          return `update ${ref} ${isDeleted ? zeros : made.commits[below(3)]}\n`;
        });
        const run = { cwd: made.path, env: NO_COMPACTION, input: lines.join('') };
        assert.equal(runSync('git', ['update-ref', '--no-deref', '--stdin'], run).code, 0);
      }
      const files = readdirSync(join(made.path, 'reftable')).filter((each) => each.endsWith('.ref'));
      assert.ok(files.length >= tables, `${files.length} tables`);

      assert.ok((await fixture.check(made)) > 0);
      const listed = new Map(
        fixture.askGit(made, ['refs/']).map((line) => line.split(' ').reverse()) as [string, string][],
      );
      for (const ref of [...Array.from({ length: 500 }, () => names[below(count)] ?? ''), 'refs/heads/none'])
        assert.equal((await made.repository.refs.resolve(ref))?.oid, listed.get(ref), ref);
      made.run('pack-refs', '--all');
      await fixture.check(made);
    }
  });

  test('questions about a plain stack start no git', async () => {
    const made = createRepository('sha1');
    for (const ref of ['refs/heads/main', 'refs/tags/v1', 'refs/heads/x'])
      made.run('update-ref', ref, made.commits[0] ?? '');
    made.run('update-ref', '-d', 'refs/heads/x');
    fixture.started.length = 0;

    await answers(made.repository, ['refs/heads/main', 'refs/tags/v1', 'refs/heads/x', 'HEAD']);
    await made.repository.refs.checksum();

    assert.deepEqual(
      fixture.started.filter((each) => each !== 'cat-file'),
      [],
    );
  });

  // Symptom: lookups of different names in a large table kept their blocks for a short time, and
  // the server grew by 120 MB although the cache of blocks was limited to 8.
  test('lookups in a large table keep its index, and not the blocks of references', () => {
    const made = createRepository('sha1');
    const names = Array.from(
      { length: 60_000 },
      (_, index) => `refs/heads/group-${index % 100}/branch-${index}`,
    );
    const oid = made.commits[0] ?? '';
    gitOutput(made.path, ['update-ref', '--stdin'], names.map((ref) => `create ${ref} ${oid}\n`).join(''));
    const stacks = new Stacks();
    const find = (ref: string) =>
      stacks.use(made.path, OID_BYTES.sha1, (stack) => stack.read(Buffer.from(ref)));

    // The second time a block is not decoded as a whole.
    for (const _round of [1, 2])
      for (const [index, ref] of names.entries()) {
        if (index % 97 !== 0) continue;
        assert.deepEqual(find(ref), { oid }, ref);
        assert.equal(find(`${ref}-`), undefined);
      }

    const fileBytes = readdirSync(join(made.path, 'reftable'))
      .map((each) => statSync(join(made.path, 'reftable', each)).size)
      .reduce((sum, size) => sum + size, 0);
    assert.ok(stacks.blocks.weight > 0);
    assert.ok(stacks.blocks.weight < fileBytes / 10, `${stacks.blocks.weight} of ${fileBytes} bytes`);
  });

  test('damaged stacks give what git gives, or its error', async () => {
    const made = createRepository('sha1');
    made.run('config', 'reftable.blockSize', '256');
    const changes = Array.from({ length: 120 }, (_, index): Change => {
      return { name: `refs/heads/b${index}`, target: index % 3, how: 'update' };
    });
    apply(made, [changes, changes.slice(0, 5).map((each) => ({ ...each, how: 'delete' }))], false);
    const tables = readdirSync(join(made.path, 'reftable')).filter((each) => each.endsWith('.ref'));
    const sizes = tables.map((each) => statSync(join(made.path, 'reftable', each)).size);
    const file = join(made.path, 'reftable', tables[sizes.indexOf(Math.max(...sizes))] ?? '');
    const good = readFileSync(file);
    const names = ['refs/heads/b3', 'refs/heads/b77'];
    const intact = await answers(gitAlone.open(made.path), names, false);

    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.nat(good.length - 1), fc.nat(255)), { minLength: 1, maxLength: 2 }),
        fc.option(fc.nat(good.length), { nil: undefined, freq: 4 }),
        async (edits, length) => {
          const bad = Buffer.from(good.subarray(0, length));
          for (const [at, byte] of edits) if (at < bad.length) bad[at] = byte;
          writeFileSync(file, bad);

          const refs = new RefReader(new RefCaches(), made.repository);
          const expected = await answers(gitAlone.open(made.path), names, false);
          const found = await answers({ refs }, names, false);
          // A lookup ends at the newest table with the name, and at its block. git also looks into
          // the older tables and the next block, and fails where they are damaged. Then it says no
          // to a question behind the one that it fails at.
          const isFailure = (answer: unknown, index: number): boolean =>
            answer === 'GitExitError' || (answer === false && expected[index - 1] === 'GitExitError');
          const allowed = expected.map((answer, index) =>
            index >= PATTERNS.length &&
            isFailure(answer, index) &&
            isDeepStrictEqual(found[index], intact[index])
              ? found[index]
              : answer,
          );
          assert.deepEqual(found, allowed);
        },
      ),
      // Symptoms of the examples: git lists a name that is not in order, and the list that it
      // continued left that name out; a length that only git's lookup saw; a list ended at a name
      // outside of refs/, which git passes over. In the last one a block of the index is damaged
      // that only git reads.
      {
        numRuns: repetitions('REFTABLE_DAMAGES', { short: 25, long: 2_000 }),
        examples: [
          [[[395, 128]], undefined],
          [[[1283, 3]], undefined],
          [[[1798, 115]], undefined],
          [[[3840, 0]], undefined],
        ],
      },
    );
    writeFileSync(file, good);
  });

  // Symptom: the branches were there, but their commits were not, so a list of all was empty.
  test('a repository that git refuses because of its HEAD file has no branches either', async () => {
    const made = createRepository('sha1');
    apply(made, [[{ name: 'refs/heads/main', target: 0, how: 'update' }]], false);

    for (const head of ['', 'garbage\n', 'ref: elsewhere\n', '\0'.repeat(41), 'ref: refs/heads/main\n']) {
      writeFileSync(join(made.path, 'HEAD'), head);
      const refs = new RefReader(new RefCaches(), made.repository);
      const ask = async (reader: RefReader): Promise<unknown[]> => {
        const name = (error: unknown) => (error instanceof Error ? error.name : error);
        const list = Array.fromAsync(reader.list({ patterns: ['refs/'] }, { peel: false }));
        const listed = await list.then((batches) => batches.flat().map(({ oid }) => oid), name);
        return [await reader.hasBranches().catch(name), listed];
      };
      assert.deepEqual(await ask(refs), await ask(gitAlone.open(made.path).refs), JSON.stringify(head));
    }
  });

  // Symptom: a damaged name in a table of deletions hid them, so deleted references were listed.
  test('a damaged deletion brings nothing back that git does not list', async () => {
    const made = createRepository('sha1');
    const changes = Array.from({ length: 60 }, (_, index): Change => {
      return { name: `refs/heads/b${index}`, target: index % 3, how: 'update' };
    });
    apply(made, [changes, changes.slice(0, 30).map((each) => ({ ...each, how: 'delete' }))], false);
    const [newest = ''] = readFileSync(join(made.path, 'reftable/tables.list'), 'utf8').split('\n').slice(-2);
    const file = join(made.path, 'reftable', newest);
    const good = readFileSync(file);
    const start = good.indexOf('refs/heads/');

    for (let at = start; at < start + 12; at++) {
      const bad = Buffer.from(good);
      bad[at] = 0;
      writeFileSync(file, bad);
      const refs = new RefReader(new RefCaches(), made.repository);
      assert.deepEqual(
        await answers({ refs }, [], false),
        await answers(gitAlone.open(made.path), [], false),
        `byte ${at}`,
      );
    }
  });

  test('a reader beside writers that compact, and are killed, sees no half transaction', async () => {
    const made = createRepository('sha1');
    const [one = '', two = ''] = made.commits;
    const names = Array.from({ length: 20 }, (_, index) => `refs/heads/pair${index}`);
    gitOutput(made.path, ['update-ref', '--stdin'], names.map((ref) => `create ${ref} ${one}\n`).join(''));
    let isOver = false;
    const writing = (async () => {
      for (let round = 0; !isOver; round++) {
        const oid = round % 2 === 0 ? two : one;
        const child = spawn('git', ['update-ref', '--stdin'], {
          cwd: made.path,
          env: GIT_ENVIRONMENT,
          stdio: ['pipe', 'ignore', 'ignore'],
        });
        const ended = once(child, 'close');
        child.stdin.on('error', () => {}); // it may have been killed
        child.stdin.end(names.map((ref) => `update ${ref} ${oid}\n`).join(''));
        if (round % 3 === 2) {
          await sleep(round % 5);
          child.kill('SIGKILL');
        }
        await ended;
        // A killed writer leaves its lock, as a server would find it.
        runSync('rm', ['-f', join(made.path, 'reftable/tables.list.lock')]);
      }
    })();
    let lists = 0;
    const end = Date.now() + repetitions('REFTABLE_WRITERS_MS', { short: 1_500, long: 30_000 });
    while (Date.now() < end) {
      const found = (await Array.fromAsync(made.repository.refs.list({ patterns: ['refs/heads/'] }))).flat();
      assert.equal(found.length, names.length);
      assert.equal(new Set(found.map(({ oid }) => oid)).size, 1, 'a torn view');
      assert.ok(await made.repository.refs.resolve('refs/heads/pair7'));
      lists++;
    }
    isOver = true;
    await writing;

    assert.ok(lists > 10);
    assert.deepEqual(
      await answers(made.repository, names.slice(0, 2)),
      await answers(gitAlone.open(made.path), names.slice(0, 2)),
    );
  });

  test('a migration in either direction is seen at once', async () => {
    const made = createRepository('sha1');
    made.run('update-ref', 'refs/heads/main', made.commits[0] ?? '');
    for (const [format, commit] of [
      ['files', 1],
      ['reftable', 2],
    ] as const) {
      assert.ok(await made.repository.refs.resolve('refs/heads/main'));
      made.run('refs', 'migrate', `--ref-format=${format}`);
      made.run('update-ref', 'refs/heads/main', made.commits[commit] ?? '');

      assert.equal((await made.repository.refs.resolve('refs/heads/main'))?.oid, made.commits[commit]);
      assert.equal(made.repository.refs.backend, format);
    }
  });
});

function createRepository(format: 'sha1' | 'sha256'): ReferencesRepository {
  return fixture.createRepository(format, 'reftable');
}

function makeTag({ path, commits }: ReferencesRepository): string {
  return gitOutput(
    path,
    ['mktag'],
    `object ${commits[0]}\ntype commit\ntag t\ntagger A <a@x> 1 +0000\n\nx\n`,
  );
}

/** Returns names with prefixes of each length in common. */
function largeNames(count: number): string[] {
  return Array.from({ length: count }, (_, index) => {
    const number = (index * 7919) % count;
    return `refs/heads/b${'a'.repeat(number % 97)}${number % 10 === 0 ? '/' : '-'}${number}`;
  });
}
