/** Files that are tested together. */
export interface TestGroup {
  /** Globs. */
  readonly files: readonly string[];
  /** Globs of files that belong to another class. */
  readonly exclude?: readonly string[];
  /** Time limit of each test. */
  readonly timeoutMs: number;
  /** Number of files that run at a time. */
  readonly processes: number;
  readonly env?: Readonly<Record<string, string>>;
  /** Runs each file in a separate process. */
  readonly separately?: boolean;
}

/** Tests wait, too: four processes left a tenth of two cores idle. Six are no faster than five. */
const REAL = { processes: 5, timeoutMs: 600_000 };

/**
 * Tests of what users of a release meet: packages, images, pages, the first commands of a newcomer,
 * machines without koffi, other languages. Those of object stores build the servers of others for
 * minutes.
 */
const RELEASE = [
  'test/{deploy,docs,newcomer,object-store,test-env,without-koffi}/**/*.test.ts',
  'test/{grpc-go-peer,interop-go,yamux-go,observability/profiles}.test.ts',
  'test/{completion,doctor,examples,import,up}.test.ts',
  'test/cluster/up-cluster.test.ts',
  'test/console/browser.test.ts',
];

/**
 * Tests in which no call of a cluster of six processes may fail without a fault. Next to many other
 * files, the nodes of two cores are too slow for their health checks.
 */
const ALONE = ['test/cluster/faults/rolling-restart.test.ts'];

/**
 * As above, but the cluster waits for most of half a minute. The other file keeps one core busy
 * meanwhile.
 */
const IN_PAIRS = ['test/cluster/faults/writers.test.ts', 'test/golden/operations.test.ts'];

/** The classes of tests by name. CONTRIBUTING.md describes when to run which. */
export const CLASSES: Readonly<Record<string, readonly TestGroup[]>> = {
  fast: [
    {
      files: ['src/{base,wire,platform,rpc}/**/*.test.ts', 'scripts/**/*.test.ts'],
      processes: 2,
      timeoutMs: 60_000,
    },
  ],
  real: [{ files: ['src/!(base|wire|platform|rpc)/**/*.test.ts'], ...REAL }],
  whole: [{ files: ['test/**/*.test.ts'], exclude: RELEASE, ...REAL }],
  test: [
    { files: ['{src,scripts,test}/**/*.test.ts'], exclude: [...RELEASE, ...ALONE, ...IN_PAIRS], ...REAL },
    { files: ALONE, ...REAL, processes: 1 },
    { files: IN_PAIRS, ...REAL, processes: 2 },
  ],
  // They build programs with several threads, and servers of others.
  release: [{ files: RELEASE, ...REAL, processes: 3 }],
  git: [{ files: ['test/{golden,votes}/*.test.ts', 'src/{git,services,domain}/**/*.test.ts'], ...REAL }],
};

/**
 * Files that search for lost data. A rare failure of these is a defect, too, so they are not run
 * again.
 */
export const NEVER_AGAIN =
  /^test\/(?:durability|faults|cluster)\/|^test\/restart\/restart\.|^test\/(?:load-writes|load-pushes|mixed-load|big-push)\.|^src\/(?:praefect\/(?:transactions|elections)|domain\/migrate-references)\//;
