import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, suite, test } from 'node:test';
import { shuffled } from '#base/shuffled';
import { superlinearGrowth } from '#testkit/measure/time-growth';
import { seededRandom } from '#testkit/repositories/random-history';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { extent } from '#testkit/soak';
import { testSeed } from '#testkit/test-seed';
import { gitSamples } from '../parsers/git-samples.ts';
import { signatureSamples } from '../parsers/signature-samples.ts';
import { signatureTargets } from '../parsers/signature-targets.ts';
import { parserTargets, type Target } from '../parsers/targets.ts';
import { hostileShapes } from './hostile-shapes.ts';
import { textReaders } from './text-readers.ts';

/** Number of shapes for each parser; all of them in the soak. */
const SHAPES = extent('GROWTH_SHAPES', { short: 2, long: 5000 });
const SEED = testSeed('GROWTH_SEED');
/** Places in a sample at which a piece is repeated. */
const PLACES = 6;

const scratch = makeScratchDirectory('time-growth');
// Not in the suite: its tests are of the file, as it waits before them.
after(() => rmSync(scratch, { recursive: true, force: true }));

suite(`CPU time of parsers (GROWTH_SEED=${SEED})`, async () => {
  const git = gitSamples(join(scratch, 'r.git'));
  const targets = [
    ...parserTargets(git, scratch),
    ...signatureTargets(git.commits, await signatureSamples(git.sshKeys)),
    ...textReaders(),
  ];
  const random = seededRandom(SEED);

  for (const target of targets) {
    const shapes = target.samples.flatMap((sample) =>
      hostileShapes(
        sample,
        Array.from({ length: PLACES }, () => Math.floor(random() * (sample.length + 1))),
      ),
    );
    const chosen = shuffled(shapes, random).slice(0, SHAPES);
    test(`${target.name} takes a time in proportion to its input`, async () => {
      for (const shape of chosen) {
        const run = (size: number): Promise<void> => parse(target, shape.build(size));
        const growth = await superlinearGrowth(run);
        assert.equal(growth && JSON.stringify({ shape: shape.piece, ...growth }), undefined);
      }
    });
  }
});

/** Parses an input. Its errors are the matter of test/parsers. */
async function parse({ parse }: Target, input: Buffer): Promise<void> {
  try {
    await parse(input);
  } catch {
    // refused
  }
}
