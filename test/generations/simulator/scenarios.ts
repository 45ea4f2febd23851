import { BEFORE, DIRECTED, QUIET } from './directed-scenarios.ts';
import type { Operation } from './operations.ts';
import type { Scenario, Thread } from './run.ts';
import type { World } from './world.ts';

const SERVERS = 3;
const CLIENTS = 6;
const REFERENCES = ['a', 'b', 'c'];

/** Three servers and six clients for a minute, with all that may fail. */
const MIXED: Scenario = {
  name: 'mixed',
  conditions: {
    ...QUIET,
    servers: SERVERS,
    crashes: 0.003,
    pauses: true,
    outages: true,
    drift: 0.1,
    untilMs: 60_000,
    thinkMs: 10_000,
    faults: {
      refused: 0.02,
      lostReply: 0.03,
      late: 0.02,
      repeated: 0.03,
      conflict: 0.3,
      slow: 0.05,
      slowMs: 900,
      lateMs: 40_000,
    },
  },
  before: BEFORE,
  threads: mixedThreads,
};

/** Work of a server that is not for a client. */
const WORK: readonly (readonly Operation[])[] = [
  ['checkpoint'],
  ['checkpoint', 'wait 8200', 'collect'],
  ['checkpoint', 'wait 8200', 'collect', 'wait 3000', 'collect'],
  ['collect'],
  ['repack'],
  ['release'],
  ['own'],
];

function mixedThreads(world: World): Thread[] {
  const threads: Thread[] = [];
  for (let client = 0; client < CLIENTS; client++) {
    const home = world.below(SERVERS);
    const script: Operation[] = [];
    for (let count = 0; count < 14; count++) script.push(...step(world));
    threads.push({ server: world.chance(0.7) ? home : world.below(SERVERS), script });
  }
  for (let server = 0; server < SERVERS; server++) {
    const script: Operation[] = [];
    for (let count = 0; count < 9; count++) script.push(...world.pick(WORK));
    threads.push({ server, script, thinkMs: 8000 });
  }
  return threads;
}

function step(world: World): Operation[] {
  const name = world.pick(REFERENCES);
  const chance = world.random();
  if (chance < 0.35) return ['own', 'read'];
  if (chance < 0.45) return ['cold'];
  if (chance < 0.7) return ['own', `write ${name}`];
  if (chance < 0.85) return ['own', `push ${name}`];
  if (chance < 0.93) return ['own', `reuse ${name}`];
  if (chance < 0.95) return ['own', 'remove'];
  if (chance < 0.97) return ['fork'];
  return ['create'];
}

export const SCENARIOS: readonly Scenario[] = [
  ...Object.entries(DIRECTED).map(
    ([name, { before = BEFORE, threads, ...conditions }]): Scenario => ({
      name,
      before,
      threads: () => threads,
      conditions: { ...QUIET, ...conditions },
    }),
  ),
  MIXED,
];
