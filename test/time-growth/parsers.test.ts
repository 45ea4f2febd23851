import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, suite, test } from 'node:test';
import { seededRandom } from '#testkit/repositories/random-history';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { extent } from '#testkit/soak';
import { superlinearGrowth } from '#testkit/time-growth';
import { gitSamples } from '../parsers/git-samples.ts';
import { parserTargets, type Target } from '../parsers/targets.ts';
import { hostileShapes } from './hostile-shapes.ts';
import { textReaders } from './text-readers.ts';

/** Number of shapes for each parser; all of them in the soak. `GROWTH_SEED=7` uses others. */
const SHAPES = extent('GROWTH_SHAPES', { short: 4, long: 5000 });
const SEED = Number(process.env.GROWTH_SEED ?? 1);
/** Places in a sample at which a piece is repeated. */
const PLACES = 6;
/** A quadratic time is seconds at this size. */
const LARGEST_BYTES = 1 << 16;

suite(`CPU time of parsers (GROWTH_SEED=${SEED})`, () => {
  const scratch = makeScratchDirectory('time-growth');
  after(() => rmSync(scratch, { recursive: true, force: true }));
  const targets = [...parserTargets(gitSamples(join(scratch, 'r.git')), scratch), ...textReaders()];
  const random = seededRandom(SEED);

  for (const target of targets) {
    const shapes = target.samples.flatMap((sample) =>
      hostileShapes(
        sample,
        Array.from({ length: PLACES }, () => Math.floor(random() * (sample.length + 1))),
      ),
    );
    const chosen = shapes
      .map((shape) => ({ shape, order: random() }))
      .sort((a, b) => a.order - b.order)
      .slice(0, SHAPES);
    test(`${target.name} takes a time in proportion to its input`, async () => {
      for (const { shape } of chosen) {
        const run = (size: number): Promise<void> => parse(target, shape.build(size));
        const growth = await superlinearGrowth(run, { largest: LARGEST_BYTES });
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
