import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { assertSameDiffs, type ComparedTrees, writeVersions } from '#testkit/repositories/compared-diffs';
import { DRIVER_NAMES, driverLine } from '#testkit/repositories/driver-lines';
import { GitFixture } from '#testkit/repositories/git-fixture';
import { initRepository } from '#testkit/repositories/init-repository';
import { seededRandom } from '#testkit/repositories/random-history';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { repetitions } from '#testkit/soak';
import { testSeed } from '#testkit/test-seed';

const root = makeScratchDirectory('built-in-drivers');
const git = await GitFixture.start();
after(async () => {
  await git.close();
  rmSync(root, { recursive: true });
});

const SEED = testSeed();
/** Files for each driver. */
const FILES = repetitions('DRIVER_FILES', { short: 1, long: 40 });
/** Lines of a file that may name a function. */
const NAMES_PER_FILE = 250;

const ATTRIBUTES = DRIVER_NAMES.map((name) => `${name}* diff=${name}\n`).join('');

/** Writes two versions of each file, which differ below each line, and returns pairs of trees. */
function writePairs(path: string, files: ReadonlyMap<string, readonly string[]>): [string, ComparedTrees[]] {
  initRepository(path);
  const textOf = (lines: readonly string[], version: string): Buffer =>
    Buffer.from(
      lines.map((line, at) => `${line}\n${'  ;\n'.repeat(6)}  ;${at} ${version}\n`).join(''),
      'latin1',
    );
  const versions = [...files].flatMap(([name, lines]) => [
    { [name]: textOf(lines, '1') },
    { [name]: textOf(lines, '2') },
  ]);
  const [attributes = '', ...trees] = writeVersions(path, [{ '.gitattributes': ATTRIBUTES }, ...versions]);
  const pairs = trees.flatMap((tree, index): ComparedTrees[] =>
    index % 2 === 0 ? [[tree, trees[index + 1] ?? '']] : [],
  );
  return [attributes, pairs];
}

test(`headers of hunks show what git's drivers find (SEED=${SEED})`, async () => {
  const random = seededRandom(SEED);
  const files = DRIVER_NAMES.flatMap((driver) =>
    Array.from({ length: FILES }, (_, index): [string, string[]] => [
      `${driver}${index}`,
      Array.from({ length: NAMES_PER_FILE }, () => driverLine(driver, random)),
    ]),
  );
  const path = join(root, 'lines.git');
  const [attributes, pairs] = writePairs(path, new Map(files));

  const reasons = await assertSameDiffs({ git, path, attributes }, pairs);

  const isLater = git.git.capabilities.laterDrivers;
  assert.deepEqual([...reasons.keys()], isLater ? ['git may know how a file is compared'] : []);
});

/** Other characters, letters and spaces among them, and bytes that are not UTF-8. */
const OTHERS = ['\u00e9', '\u3000', '\u2003', '\u00a0', '\u017f', '\u212a', '\u0131', '\u4e2d', '\u{1f600}']
  .map((character) => Buffer.from(character).toString('latin1'))
  .concat('\u00ff', '\u00e9', '\u0080', '\u0000');

for (const locale of ['C', 'C.UTF-8'])
  test(`other characters are read as git reads them, or left to it, ${locale} (SEED=${SEED})`, async () => {
    const random = seededRandom(SEED);
    const files = DRIVER_NAMES.flatMap((driver) =>
      Array.from({ length: 12 * FILES }, (_, index): [string, string[]] => [
        `${driver}${index}`,
        // A NUL so far from the start makes no binary file.
        [`  ;${';'.repeat(8000)}`, driverLine(driver, random, OTHERS)],
      ]),
    );
    const path = join(root, `${locale}.git`);
    const [attributes, pairs] = writePairs(path, new Map(files));

    const reasons = await assertSameDiffs({ git, path, attributes, locale }, pairs);

    const left = reasons.get('an unusual line may name a function') ?? 0;
    assert.ok(left > 0 && left < pairs.length, `${left} of ${pairs.length}`);
  });
