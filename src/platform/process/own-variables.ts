import { didYouMean } from '#base/check-names';

const PREFIX = 'GITALY_';

/** The environment variables that users set for this project's programs, without their prefix. */
const NAMES: readonly string[] = [
  // servers
  'LOG_REQUEST_METHOD_ALLOW_PATTERN',
  'LOG_REQUEST_METHOD_DENY_PATTERN',
  'PID_FILE',
  'TESTING_ENABLE_ALL_FEATURE_FLAGS',
  'TESTING_GIT_BINARY',
  'TESTING_NO_GIT_HOOKS',
  'TESTING_WORKERS',
  'TS_POSTGRES',
  'UPGRADES_ENABLED',
  // clients and tools
  'ADDRESS',
  'DISABLE_REQUEST_LIMITS',
  'FEATUREFLAGS',
  'LFS_SMUDGE_CONFIG',
  'LOG_CONFIGURATION',
  'LOG_DIR',
  'PAYLOAD',
  'REPO_URL',
  'SERVERS',
  'SERVER_VERSION',
  'TOKEN',
];

/**
 * Yields a warning for each variable of the environment whose name is nearly one of this project's.
 * Others are left alone: Kubernetes sets `GITALY_SERVICE_HOST` where a service has that name.
 */
export function* misspeltVariables(environment: NodeJS.ProcessEnv = process.env): Generator<string> {
  for (const name of Object.keys(environment)) {
    if (!name.startsWith(PREFIX) || name === PREFIX) continue;
    const rest = name.slice(PREFIX.length);
    if (NAMES.includes(rest)) continue;
    const hint = didYouMean(rest, NAMES, PREFIX);
    if (hint !== '') yield `unknown environment variable ${name}${hint}`;
  }
}
