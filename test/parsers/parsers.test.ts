import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, suite, test } from 'node:test';
import { seededRandom } from '#testkit/repositories/random-history';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { repetitions } from '#testkit/soak';
import { testSeed } from '#testkit/test-seed';
import { gitSamples } from './git-samples.ts';
import { mutate } from './mutate.ts';
import { signatureSamples } from './signature-samples.ts';
import { signatureTargets } from './signature-targets.ts';
import { parserTargets, type Target } from './targets.ts';

/** Number of mutated inputs for each parser. The seed chooses them. */
const MUTATIONS = repetitions('MUTATIONS', { short: 60, long: 50_000 });
const SEED = testSeed('PARSER_SEED');
/** Far above what any input of this size takes; a parser that needs more has no linear time. */
const LIMIT_MS = 20_000;
/** At this size a quadratic time is above the limit, and still ends. */
const LARGE_BYTES = 256 * 1024;

const scratch = makeScratchDirectory('parsers');
// Not in the suite: its tests are of the file, as it waits before them.
after(() => rmSync(scratch, { recursive: true, force: true }));

suite(`parsers (PARSER_SEED=${SEED})`, async () => {
  const git = gitSamples(join(scratch, 'r.git'));
  const targets = [
    ...parserTargets(git, scratch),
    ...signatureTargets(git.commits, await signatureSamples(git.sshKeys)),
  ];

  for (const target of targets) {
    test(`${target.name} reads its samples`, async () => {
      for (const sample of target.samples) await target.parse(sample);
    });

    test(`${target.name} ends on any bytes, at worst with its own error`, async () => {
      const random = seededRandom(SEED);
      const others = targets.flatMap(({ samples }) => samples);
      for (let count = 0; count < MUTATIONS; count++) {
        const sample = target.samples[count % target.samples.length] ?? Buffer.alloc(0);
        const input = mutate(sample, random() < 0.2 ? others : target.samples, random);
        await check(target, input);
      }
    });

    test(`${target.name} takes a time in proportion to its input`, async () => {
      for (const sample of target.samples) {
        if (sample.length === 0) continue;
        for (const piece of [sample, ...pieces(sample)]) {
          const startedAt = performance.now();
          await check(target, Buffer.alloc(LARGE_BYTES, piece));
          const tookMs = performance.now() - startedAt;
          assert.ok(tookMs < LIMIT_MS, `${Math.round(tookMs)} ms for ${shown(piece)}, repeated`);
        }
      }
    });
  }
});

/** Parses an input. Fails on an error that the parser does not declare. */
async function check(target: Target, input: Buffer): Promise<void> {
  try {
    await target.parse(input);
  } catch (error) {
    const isDeclared = target.errors.some(
      (declared) => error instanceof Error && error.constructor === declared,
    );
    assert.ok(isDeclared, `${shown(input)}: ${error instanceof Error ? error.stack : error}`);
  }
}

/** Returns beginnings of a sample, and characters on which expressions may go back. */
function pieces(sample: Buffer): Buffer[] {
  const starts = [1, 2, 3, 8].map((length) => sample.subarray(0, length)).filter(({ length }) => length > 0);
  return [...starts, ...['\n', ' ', '\t', '"', '\\', '*', '(', '0', 'a'].map((char) => Buffer.from(char))];
}

const shown = (bytes: Buffer): string => JSON.stringify(bytes.subarray(0, 2000).toString('latin1'));
