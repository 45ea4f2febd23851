import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fc } from '#testkit/fast-check';
import { gitOutput, referenceBackends } from '#testkit/repositories/init-repository';
import { writePackedRefs } from '#testkit/repositories/packed-refs';
import {
  listReferences,
  ReferencesFixture,
  type ReferencesRepository,
} from '#testkit/repositories/references-fixture';

const fixture = await ReferencesFixture.start();
after(() => fixture.close());
const { started } = fixture;

/** Objects of a repository: three commits, a tree, a blob, and tags of what comes before them. */
class Objects {
  readonly oids: string[];
  readonly #targets = new Map<string, string>();

  constructor({ path, commits, run }: ReferencesRepository, tags: readonly number[]) {
    const blob = gitOutput(path, ['hash-object', '-w', '--stdin'], 'blob');
    this.oids = [...commits, run('rev-parse', `${commits[0]}^{tree}`), blob];
    const types = ['commit', 'commit', 'commit', 'tree', 'blob'];
    for (const [index, pick] of tags.entries()) {
      const at = pick % this.oids.length;
      const target = this.at(at);
      const head = `object ${target}\ntype ${types[at]}\ntag t${index}\n`;
      const lines = `${head}tagger A <a@x> ${index} +0000\n\nx\n`;
      const tag = gitOutput(path, ['hash-object', '-w', '-t', 'tag', '--stdin'], lines);
      this.#targets.set(tag, target);
      this.oids.push(tag);
      types.push('tag');
    }
  }

  at(index: number): string {
    return this.oids[index % this.oids.length] ?? '';
  }

  /** Reports whether an object is one of some, or a tag that leads to one. */
  leadsTo(oid: string | undefined, wanted: ReadonlySet<string>): boolean {
    return oid !== undefined && (wanted.has(oid) || this.leadsTo(this.#targets.get(oid), wanted));
  }
}

const component = fc.stringMatching(/^[a-c]{1,2}$/);
const changes = fc.array(
  fc.tuple(
    fc.array(component, { minLength: 1, maxLength: 2 }).map((parts) => parts.join('/')),
    fc.constantFrom('heads', 'tags', 'x'),
    fc.nat(30),
    fc.constantFrom('update', 'update', 'pack', 'delete', 'symbolic'),
  ),
  { minLength: 5, maxLength: 25 },
);
const query = fc.record({
  patterns: fc.uniqueArray(fc.constantFrom('refs/', 'refs/tags/', 'refs/*/a*', 'refs/x/b'), {
    minLength: 1,
  }),
  exclude: fc.constantFrom([], [Buffer.from('refs/tags/b')]),
  sort: fc.constantFrom('refname', 'refname', '-refname'),
  limit: fc.option(fc.integer({ min: 1, max: 4 }), { nil: undefined }),
});

for (const backend of referenceBackends())
  for (const format of ['sha1', 'sha256'] as const) {
    test(`random references at objects are those of git's list: ${backend}, ${format}`, async () => {
      const property = fc.asyncProperty(
        fc.array(fc.nat(30), { maxLength: 8 }),
        changes,
        fc.array(fc.nat(30), { minLength: 1, maxLength: 3 }),
        query,
        async (tags, edits, wanted, { limit, ...rest }) => {
          const made = fixture.createRepository(format, backend);
          const objects = new Objects(made, tags);
          for (const [name, space, index, how] of edits)
            change(made, { ref: `refs/${space}/${name}`, how, oid: objects.at(index) });
          const pointsAt = wanted.map((index) => objects.at(index));
          started.length = 0;

          const found = await listReferences(made, {
            ...rest,
            pointsAt,
            ...(limit !== undefined && { limit }),
          });

          if (rest.sort === 'refname') assert.deepEqual(started, []);
          const ids = new Set(pointsAt);
          const isExcluded = (name: string): boolean => rest.exclude.some((out) => isBelow(name, `${out}`));
          const expected = fixture
            .askGit(made, [`--sort=${rest.sort}`, ...rest.patterns])
            .map((line) => line.split(' ') as [string, string])
            .filter(([oid, name]) => objects.leadsTo(oid, ids) && !isExcluded(name));
          assert.deepEqual(
            found.map(({ oid, name }) => [oid, name.toString()]),
            expected.slice(0, limit),
          );
        },
      );
      await fc.assert(property, { numRuns: 20 });
    });
  }

interface Edit {
  readonly ref: string;
  readonly how: 'update' | 'pack' | 'delete' | 'symbolic';
  readonly oid: string;
}

/** Changes a reference, unless git refuses. */
function change({ run }: ReferencesRepository, { ref, how, oid }: Edit): void {
  try {
    if (how === 'delete') run('update-ref', '-d', ref);
    else if (how === 'symbolic') run('symbolic-ref', ref, 'refs/heads/a');
    else run('update-ref', ref, oid);
    if (how === 'pack') run('pack-refs', '--all');
  } catch {
    // Another name is a directory of this one, branches point to commits only, or nothing is there.
  }
}

function isBelow(name: string, directory: string): boolean {
  return name === directory || name.startsWith(`${directory}/`);
}

test('objects can be named, and what only git knows is left to it', async () => {
  const made = fixture.createRepository();
  const { commits, path, run } = made;
  run('update-ref', 'refs/heads/main', commits[0] ?? '');
  run('update-ref', 'refs/heads/other', commits[1] ?? '');
  run('tag', '-a', '-m', 'x', 'annotated', commits[0] ?? '');
  const names = async (pointsAt: string[]): Promise<string[]> =>
    (await listReferences(made, { patterns: ['refs/'], pointsAt })).map(({ name }) => name.toString());

  for (const revision of ['main', commits[0]?.toUpperCase() ?? '', commits[0]?.slice(0, 12) ?? ''])
    assert.deepEqual(await names([revision]), ['refs/heads/main', 'refs/tags/annotated'], revision);
  assert.deepEqual(await names(['other', 'annotated']), ['refs/heads/other', 'refs/tags/annotated']);
  assert.deepEqual(await names(['1'.repeat(40)]), []);
  await assert.rejects(names(['nothing']), { name: 'GitExitError', exitCode: 129 });
  writeFileSync(join(path, 'refs/heads/lost'), `${'1'.repeat(40)}\n`);
  await assert.rejects(names(['main']), { name: 'GitExitError', exitCode: 128 });
});

// Symptom: with older versions of git, FindRefsByOID took 24 s for 1,000,000 references.
test('tags are read only where one that leads to the same object is wanted', async () => {
  const made = fixture.createRepository();
  const { commits, path, run } = made;
  run('tag', '-a', '-m', 'x', 'outer', commits[0] ?? '');
  const outer = run('rev-parse', 'outer');
  run('update-ref', '-d', 'refs/tags/outer');
  const lost = '1'.repeat(40);
  // The objects of packed references are not looked up: none of these exists.
  writePackedRefs(path, [
    `${commits[0]} refs/heads/main`,
    `${lost} refs/heads/lost\n^${commits[1]}`,
    `${outer} refs/tags/outer\n^${commits[0]}`,
  ]);
  const names = async (...pointsAt: string[]): Promise<string[]> =>
    (await listReferences(made, { patterns: ['refs/'], pointsAt })).map(({ name }) => name.toString());
  started.length = 0;

  assert.deepEqual(await names(commits[0] ?? ''), ['refs/heads/main', 'refs/tags/outer']);
  assert.deepEqual(await names(commits[1] ?? ''), ['refs/heads/lost']);
  assert.deepEqual(await names(outer), ['refs/tags/outer']);
  assert.deepEqual(started, []);
  if (made.repository.git.capabilities.pointsAtNested) return;
  const sorted = await listReferences(made, {
    patterns: ['refs/'],
    pointsAt: [commits[0] ?? ''],
    sort: '-refname',
  });
  assert.deepEqual(
    sorted.map(({ name }) => name.toString()),
    ['refs/tags/outer', 'refs/heads/main'],
  );
});
