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
  /** Number of files that run in addition whenever cores are idle. */
  readonly spareProcesses?: number;
  readonly env?: Readonly<Record<string, string>>;
  /** Runs each file in a separate process. */
  readonly separately?: boolean;
}

/**
 * Tests wait, too, and some files do little else: five at a time used 78 % of two cores. Six always
 * took 10 % more CPU time for the same tests, so that the others run only while cores are idle.
 */
const REAL = { processes: 5, spareProcesses: 3, timeoutMs: 600_000 };

/**
 * Tests of what users of a release meet: packages, images, pages, the first commands of a newcomer,
 * machines without koffi, other languages, and what grows with the load and the size of what is
 * read. Those of object stores build the servers of others for minutes.
 */
const RELEASE = [
  'test/{deploy,docs,floods,http2-programs,newcomer,object-store,team,test-env,without-koffi}/**/*.test.ts',
  'test/{call-garbage,loop-blocks,time-growth}/**/*.test.ts',
  'test/{backup-memory,big-push,client-leaks,hostile-attributes}.test.ts',
  'test/{load-pushes,load-reads,load-writes,many-repositories,streamed-memory}.test.ts',
  'test/{api-client,grpc-go-peer,interop-go,yamux-go,observability/profiles}.test.ts',
  'test/{completion,doctor,examples,import,targets}.test.ts',
  'test/{up,up-config,up-hangup,up-init,up-metrics}.test.ts',
  'test/lfs/{git-lfs,lfs-buckets}.test.ts',
  'test/call-budget/feed-budget.test.ts',
  'test/cluster/up-cluster.test.ts',
  'test/console/{account-browser,archived-browser,browser,lfs-browser,up-cluster-console}.test.ts',
  'test/people/who-in-a-cluster.test.ts',
  'test/transports/{sha1,sha256}.test.ts',
  'test/workers/{console,contract/contract,metrics,praefect-sql}.test.ts',
];

/**
 * Tests in which no call of a cluster of six processes may fail without a fault: next to many other
 * files, the nodes of two cores are too slow for their health checks. And one that measures the
 * memory of an idle server, which collects no garbage on a busy machine.
 */
const ALONE = [
  'test/cluster/faults/{rolling-restart,writers}.test.ts',
  'test/archive/many-repositories.test.ts',
];

/** The classes of tests by name. test/README.md describes when to run which. */
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
  test: [{ files: ['{src,scripts,test}/**/*.test.ts'], exclude: [...RELEASE, ...ALONE], ...REAL }],
  release: [
    // They build programs with several threads, and servers of others.
    { files: RELEASE, ...REAL, processes: 3, spareProcesses: 0 },
    { files: ALONE, ...REAL, processes: 1, spareProcesses: 0 },
  ],
  git: [
    {
      files: [
        'test/git-versions.test.ts',
        'test/{golden,pushes,votes}/*.test.ts',
        'src/{git,services,domain}/**/*.test.ts',
      ],
      ...REAL,
    },
  ],
};

/**
 * Files that search for lost data. A rare failure of these is a defect, too, so they are not run
 * again.
 */
export const NEVER_AGAIN =
  /^test\/(?:durability|faults|cluster)\/|^test\/restart\/restart\.|^test\/(?:load-writes|load-pushes|mixed-load|big-push)\.|^src\/(?:praefect\/(?:transactions|elections)|domain\/migrate-references)\//;
