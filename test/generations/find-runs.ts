/**
 * Searches for a run that finds each planted fault, in the scenario of the list or in all, and prints
 * the list of found-by.ts:
 *
 *   node --conditions=source test/generations/find-runs.ts [MAX_SEEDS]
 */
import { FOUND_BY } from './found-by.ts';
import { runNamed } from './seeds.ts';
import { BASES, FAULTS, type PlantedFault, plantOf } from './simulator/faults.ts';
import { SCENARIOS } from './simulator/scenarios.ts';

const maxSeeds = Number(process.argv[2] ?? 1500);

async function search(name: string, fault: PlantedFault): Promise<string | undefined> {
  const known = FOUND_BY[name]?.split(':')[0];
  const order = [...SCENARIOS].sort(
    (one, other) => Number(other.name === known) - Number(one.name === known),
  );
  for (const scenario of order)
    for (let seed = 1; seed <= maxSeeds; seed++) {
      const run = { scenario, seed };
      if ((await runNamed(run, plantOf(fault))).violation === undefined) continue;
      if ((await runNamed(run, BASES[fault.base ?? ''])).violation === undefined)
        return `${scenario.name}:${seed}`;
    }
  return undefined;
}

for (const [name, fault] of Object.entries(FAULTS)) {
  const found = await search(name, fault);
  console.log(`  ${JSON.stringify(name)}: ${JSON.stringify(found ?? 'nothing')},`);
}
