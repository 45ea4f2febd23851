import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { assertSameDiffs, type ComparedTrees, writeVersions } from '#testkit/repositories/compared-diffs';
import { GitFixture } from '#testkit/repositories/git-fixture';
import { initRepository } from '#testkit/repositories/init-repository';
import { type Random, seededRandom } from '#testkit/repositories/random-history';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { repetitions } from '#testkit/soak';
import { testSeed } from '#testkit/test-seed';

const root = makeScratchDirectory('find-renames');
const git = await GitFixture.start();
after(async () => {
  await git.close();
  rmSync(root, { recursive: true });
});

const SEED = testSeed();
const PAIRS = repetitions('RENAME_PAIRS', { short: 150, long: 5_000 });

type Files = Readonly<Record<string, Buffer>>;

/** Generates directories whose files move, with changes or without. */
class MovingFiles {
  readonly #random: Random;

  constructor(random: Random) {
    this.#random = random;
  }

  /** Returns two versions of a directory. Few templates make many files that are equally similar. */
  pair(): [Files, Files] {
    const templates = Array.from({ length: 1 + this.#below(4) }, () =>
      this.#lines(this.#of([1, 4, 12, 40, 200])),
    );
    const before: Record<string, Buffer> = {};
    const later: Record<string, Buffer> = {};
    for (let files = 1 + this.#below(12); files > 0; files--) {
      const lines = this.#edited(this.#of(templates));
      const content = this.#joined(lines);
      const name = this.#name();
      if (this.#below(6) > 0) before[name] = content;
      if (this.#below(5) === 0) later[name] = content;
      else if (this.#below(8) > 0)
        later[this.#name()] = this.#below(4) === 0 ? content : this.#joined(this.#edited(lines));
    }
    return [before, later];
  }

  #name(): string {
    const directory = this.#of(['', 'd/', 'd/e/', 'z/', 'crlf/', 'raw/', 'all/']);
    return `${directory}${this.#of(['a', 'b', 'c', 'Makefile', 'x-a'])}${this.#of(['', '', '.c', '1'])}`;
  }

  #lines(count: number): string[] {
    return Array.from({ length: count }, () => {
      const length = this.#of([0, 3, 10, 30, 63, 64, 65, 150]);
      return `${this.#below(1000)}`.padEnd(length, this.#of(['x', ' ', '\u00ff', 'abc']));
    });
  }

  #edited(before: readonly string[]): string[] {
    const after = [...before];
    for (let edits = this.#of([0, 1, 1, 2, 5, 20, 100]); edits > 0; edits--) {
      const at = this.#below(after.length + 1);
      after.splice(at, this.#below(3), ...this.#lines(this.#below(3)));
    }
    return after;
  }

  #joined(lines: readonly string[]): Buffer {
    const text = lines.join(this.#below(4) === 0 ? '\r\n' : '\n');
    const end = this.#of(['\n', '\n', '', '\r', '\0']);
    return Buffer.from(text + end, 'latin1');
  }

  #of<T>(items: readonly T[]): T {
    return items[this.#below(items.length)] as T; // no list is empty
  }

  #below(limit: number): number {
    return Math.floor(this.#random() * limit);
  }
}

/** Writes pairs of directories, and returns the pairs of their trees. */
function writePairs(path: string, pairs: readonly (readonly [Files, Files])[]): ComparedTrees[] {
  initRepository(path);
  const trees = writeVersions(path, pairs.flat());
  return pairs.map((_, index): ComparedTrees => [trees[2 * index] ?? '', trees[2 * index + 1] ?? '']);
}

test(`moved files are joined to the renames that git finds (SEED=${SEED})`, async () => {
  const path = join(root, 'moved.git');
  const files = new MovingFiles(seededRandom(SEED));
  const pairs = writePairs(
    path,
    Array.from({ length: PAIRS }, () => files.pair()),
  );
  // Carriage returns count only in binary files.
  const [attributes = ''] = writeVersions(path, [
    { '.gitattributes': 'raw/* -diff\nall/* diff\n*.c binary\n' },
  ]);

  for (const options of [
    { git, path },
    { git, path, attributes },
  ]) {
    const reasons = await assertSameDiffs(options, pairs);

    assert.deepEqual([...reasons], []);
  }
});

test('a file that hundreds of others resemble is joined to the one that git chooses', async () => {
  const path = join(root, 'many.git');
  const text = (from: number): Buffer =>
    Buffer.from(Array.from({ length: 40 }, (_, line) => `line ${from + line}\n`).join(''));
  const ended = (end: string): Buffer => Buffer.concat([text(0), Buffer.from(end)]);
  const many = (directory: string, start: number): Files =>
    Object.fromEntries(
      Array.from({ length: 95 }, (_, index) => [
        `${directory}/${index % 7}-${index}`,
        text(start + (index % 30)),
      ]),
    );
  const pairs = writePairs(path, [
    [many('old', 0), many('new', 7)],
    [many('old', 0), many('old', 3)],
    [{ 'a/x': text(0) }, many('b', 1)],
    // Names that occur twice decide only between equally similar files.
    [
      { 'a/x': ended('1'), 'b/y': ended('2') },
      { 'c/y': ended('3'), 'd/x': ended('4'), 'e/y': ended('5'), 'f/x': ended('6') },
    ],
  ]);

  const reasons = await assertSameDiffs({ git, path }, pairs);

  assert.deepEqual([...reasons], []);
});
