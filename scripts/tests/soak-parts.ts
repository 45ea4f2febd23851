/** A part of the soak. */
export interface SoakPart {
  readonly name: string;
  /** Globs. */
  readonly files: readonly string[];
  /** Time that it takes in a soak of the usual length, on two cores. */
  readonly minutes: number;
}

/** Length of the usual soak, which the parts' minutes are for. */
export const USUAL_HOURS = 2;

/**
 * The parts of the soak, which together take less than `USUAL_HOURS`. What a part repeats, and how
 * long, is a number in its tests (`repetitions` of testkit/soak.ts) that grows with the length of
 * the soak. README.md describes the parts.
 */
export const SOAK_PARTS: readonly SoakPart[] = [
  { name: 'mixed-load', minutes: 5, files: ['test/mixed-load.test.ts'] },
  { name: 'hostile-fields', minutes: 6, files: ['test/hostile-fields/*.test.ts'] },
  { name: 'field-growth', minutes: 5, files: ['test/time-growth/{fields,fuzzer}.test.ts'] },
  { name: 'parser-growth', minutes: 2, files: ['test/time-growth/parsers.test.ts'] },
  { name: 'parsers', minutes: 3, files: ['test/parsers/*.test.ts'] },
  { name: 'loads', minutes: 4, files: ['test/load-*.test.ts'] },
  { name: 'floods', minutes: 5, files: ['test/floods/*.test.ts'] },
  { name: 'loop-blocks', minutes: 2, files: ['test/loop-blocks/*.test.ts'] },
  { name: 'cluster-contract', minutes: 6, files: ['test/cluster/contract/contract.test.ts'] },
  { name: 'cluster-faults', minutes: 5, files: ['test/cluster/faults/random-faults.test.ts'] },
  { name: 'cluster-writers', minutes: 7, files: ['test/cluster/faults/writers.test.ts'] },
  {
    name: 'cluster-kills',
    minutes: 8,
    files: ['test/cluster/faults/{each-message,feed-failover,kills}.test.ts'],
  },
  { name: 'failures', minutes: 4, files: ['test/faults/{contents,each,maintenance}-failure.test.ts'] },
  {
    name: 'kills',
    minutes: 5,
    files: [
      'test/faults/{maintenance,server}-killed.test.ts',
      'test/events/killed.test.ts',
      'src/events/journal-compaction.test.ts',
      'test/workers/{events,faults,leases,praefect}.test.ts',
      'src/domain/migrate-references/*.test.ts',
    ],
  },
  { name: 'feed', minutes: 8, files: ['test/events/consumers.test.ts'] },
  {
    name: 'during-writes',
    minutes: 4,
    files: [
      'src/git/objects/database/objects-beside-writers.test.ts',
      'test/faults/moving-repositories.test.ts',
      'test/restart/restart.test.ts',
    ],
  },
  {
    name: 'random-inputs',
    minutes: 8,
    files: [
      'test/differential.test.ts',
      'test/odd-history/*.test.ts',
      'test/pushes/{late-refusals,left-to-git,many-creations,plain-pushes,random-pushes,settings}.test.ts',
      'src/gateway/http/api/hostile-values.test.ts',
      'src/git/diff/in-process/diff-trees.test.ts',
      'src/git/merge/merge-lines.test.ts',
      'src/domain/bundle/{automatic/offered-bundles,create-bundle}.test.ts',
      'src/domain/object-pool/object-pool.test.ts',
      'src/domain/upload-pack/{reused,walked}-packs/*.test.ts',
    ],
  },
  {
    name: 'recordings',
    minutes: 5,
    files: [
      'test/in-process-off.test.ts',
      'test/golden/reftable.test.ts',
      'test/without-koffi/*.test.ts',
      'test/workers/contract/contract.test.ts',
    ],
  },
  {
    name: 'archive',
    minutes: 8,
    files: ['test/archive/{bucket-killed,faults,killed,random-history,verify}.test.ts'],
  },
  { name: 'simulation', minutes: 4, files: ['test/generations/simulation.test.ts'] },
  { name: 'reftables', minutes: 3, files: ['src/git/refs/storage/reftable/ref-tables.test.ts'] },
  { name: 'leaks', minutes: 3, files: ['test/{client,server}-leaks.test.ts'] },
  {
    name: 'sizes',
    minutes: 6,
    files: [
      'test/{big-push,many-repositories,streamed-memory}.test.ts',
      'test/archive/many-repositories.test.ts',
    ],
  },
  {
    name: 'connections',
    minutes: 4,
    files: [
      'test/cut-connections/*.test.ts',
      'test/{http-gateway,http-gateway-faults,ssh-gateway-idle}.test.ts',
    ],
  },
];
