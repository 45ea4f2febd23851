/** Files that are tested together, with the options of `node --test` for them. */
export interface TestGroup {
  /** Globs. */
  readonly files: readonly string[];
  /** Globs of files that belong to another class. */
  readonly exclude?: readonly string[];
  readonly options: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

const REAL_OPTIONS = ['--test-concurrency=3', '--test-timeout=600000'];
const SOAK = { GITALY_SOAK: '1' };
const SOAK_OPTIONS = ['--test-concurrency=1', '--test-timeout=3600000'];

/** Tests of packages, images, pages and other languages: what a release consists of. */
const RELEASE = [
  'test/{deploy,docs,newcomer,test-env}/**/*.test.ts',
  'test/{grpc-go-peer,interop-go,yamux-go}.test.ts',
];

const FAST: TestGroup = {
  files: ['src/{base,wire,platform,rpc}/**/*.test.ts', 'scripts/**/*.test.ts'],
  options: ['--test-isolation=none', '--test-timeout=60000'],
};

/** The classes of tests by name. CONTRIBUTING.md describes when to run which. */
export const CLASSES: Readonly<Record<string, readonly TestGroup[]>> = {
  fast: [FAST],
  real: [{ files: ['src/!(base|wire|platform|rpc)/**/*.test.ts'], options: REAL_OPTIONS }],
  whole: [{ files: ['test/**/*.test.ts'], exclude: RELEASE, options: REAL_OPTIONS }],
  test: [
    FAST,
    {
      files: ['src/!(base|wire|platform|rpc)/**/*.test.ts', 'test/**/*.test.ts'],
      exclude: RELEASE,
      options: REAL_OPTIONS,
    },
  ],
  release: [{ files: RELEASE, options: REAL_OPTIONS }],
  git: [
    { files: ['test/golden/*.test.ts', 'src/{git,services,domain}/**/*.test.ts'], options: REAL_OPTIONS },
  ],
  'soak:fields': [{ files: ['test/hostile-fields/*.test.ts'], options: ['--test-concurrency=1'], env: SOAK }],
  'soak:mix': [{ files: ['test/mixed-load.test.ts'], options: SOAK_OPTIONS, env: SOAK }],
  'soak:time': [{ files: ['test/time-growth/*.test.ts'], options: SOAK_OPTIONS, env: SOAK }],
  'soak:load': [
    {
      files: [
        'test/load-*.test.ts',
        'test/cluster/contract/contract.test.ts',
        'test/cluster/faults/random-faults.test.ts',
        'test/cluster/faults/kills.test.ts',
        'test/{many-repositories,server-leaks,streamed-memory}.test.ts',
        'test/floods/*.test.ts',
        'test/faults/{each-failure,server-killed}.test.ts',
        'test/{http-gateway-faults,ssh-gateway-idle,differential}.test.ts',
        'test/{parsers,time-growth}/*.test.ts',
      ],
      options: SOAK_OPTIONS,
      env: SOAK,
    },
  ],
};

/**
 * Files that search for lost data. A rare failure of these is a defect, too, so they are not run
 * again.
 */
export const NEVER_AGAIN =
  /^test\/(?:durability|faults|cluster)\/|^test\/restart\/restart\.|^test\/(?:load-writes|load-pushes|mixed-load|big-push)\.|^src\/praefect\/(?:transactions|elections)\//;
