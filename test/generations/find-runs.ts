/**
 * Searches for a run that finds each planted fault, in the scenario of the list or in all, and
 * prints the list of found-by.ts:
 *
 * node --conditions=source test/generations/find-runs.ts [MAX_SEEDS]
 */
import { FOUND_BY } from './found-by.ts';
import { type NamedRun, namedRun, runNamed } from './seeds.ts';
import { FAULTS, type PlantedFault, plantOf } from './simulator/faults.ts';
import { SCENARIOS } from './simulator/scenarios.ts';
import { BASES } from './simulator/variants.ts';

const maxSeeds = Number(process.argv[2] ?? 1500);

async function search(name: string, fault: PlantedFault): Promise<string | undefined> {
  const known = FOUND_BY[name]?.split(':')[0];
  if (known !== undefined && (await finds(namedRun(FOUND_BY[name] ?? ''), fault))) return FOUND_BY[name];
  const order = [...SCENARIOS].sort(
    (one, other) => Number(other.name === known) - Number(one.name === known),
  );
  for (const scenario of order)
    for (let seed = 1; seed <= maxSeeds; seed++) {
      if (await finds({ scenario, seed }, fault)) return `${scenario.name}:${seed}`;
    }
  return undefined;
}

/** Reports whether a run has a violation with the fault, and none without it. */
async function finds(run: NamedRun, fault: PlantedFault): Promise<boolean> {
  if ((await runNamed(run, plantOf(fault))).violation === undefined) return false;
  return (await runNamed(run, BASES[fault.base ?? ''])).violation === undefined;
}

for (const [name, fault] of Object.entries(FAULTS)) {
  const found = await search(name, fault);
  console.log(`  ${JSON.stringify(name)}: ${JSON.stringify(found ?? 'nothing')},`);
}
