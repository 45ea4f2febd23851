// Runs the soak, or some of its parts (soak-parts.ts):
//
//   [SOAK_HOURS=N] node scripts/tests/run-soak.ts [PART …]
//
// The parts run one after another, and the next one runs whether or not a part has failed. Each
// prints a line with its figures; a table follows at the end. Reports are kept in .cache/soak.

import { randomInt } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { writeRecord } from '../records.ts';
import { interruption } from './interruption.ts';
import { runParts } from './run-parts.ts';
import { SOAK_PARTS, USUAL_HOURS } from './soak-parts.ts';
import { makeTemporaryDirectory } from './temporary-directory.ts';

const REPORTS = join(import.meta.dirname, '../../.cache/soak');

async function main(names: readonly string[]): Promise<number> {
  const unknown = names.filter((name) => !SOAK_PARTS.some((part) => part.name === name));
  const hours = Number(process.env.SOAK_HOURS || USUAL_HOURS);
  if (unknown.length > 0 || !(hours > 0)) {
    console.error(
      `soak: ${unknown.length > 0 ? `no part ${unknown.join(', ')}` : 'SOAK_HOURS is no length'}`,
    );
    console.error(`usage: [SOAK_HOURS=${USUAL_HOURS}] npm run soak -- [PART …]`);
    for (const { name, minutes, files } of SOAK_PARTS)
      console.error(`  ${name.padEnd(18)} ${String(minutes).padStart(2)} min  ${files.join(' ')}`);
    return 2;
  }
  const parts = names.length === 0 ? SOAK_PARTS : SOAK_PARTS.filter(({ name }) => names.includes(name));
  process.env.TEST_SEED ||= String(randomInt(2 ** 31));
  const directory = makeTemporaryDirectory();
  const startMs = performance.now();
  mkdirSync(REPORTS, { recursive: true });
  try {
    const hasPassed = await runParts(parts, {
      cwd: process.cwd(),
      env: { ...process.env, TMPDIR: directory.path, TEST_PROGRAMS: 'built' },
      nodeOptions: [],
      factor: hours / USUAL_HOURS,
      signal: interruption(),
      keep: ({ name }, report) => writeFileSync(join(REPORTS, `${name}.txt`), report),
      print: console.log,
    });
    if (names.length === 0) writeRecord('soak', hasPassed, [`${parts.length} parts, ${hours} hours`]);
    return hasPassed ? 0 : 1;
  } finally {
    const left = directory.remove();
    if (left.length > 0) console.log(`left in the temporary directory: ${left.join(' ')}`);
    const minutes = ((performance.now() - startMs) / 60_000).toFixed(1);
    console.log(`${minutes} minutes. TEST_SEED=${process.env.TEST_SEED} repeats the random choices.`);
  }
}

process.exitCode = await main(process.argv.slice(2));
