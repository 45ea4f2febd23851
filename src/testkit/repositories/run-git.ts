import { execFileSync } from 'node:child_process';
import { type GitVersion, parseGitVersion } from '#git/command/capabilities';
import { OUTER_REPOSITORY } from '#git/command/outer-repository';
import { type RunProgramOptions, run } from '../run-program.ts';

/** Configuration that a git with `-c` passes to the programs that it starts. */
const OUTER_CONFIG = ['GIT_CONFIG', 'GIT_CONFIG_COUNT', 'GIT_CONFIG_PARAMETERS'];

/**
 * Environment without settings of the machine or its user, with a name and a fixed time zone for
 * commits. `undefined` removes a variable: tests may run in a hook of the user's repository, which
 * they must not change.
 */
export const GIT_ENVIRONMENT: Readonly<Record<string, string | undefined>> = {
  ...Object.fromEntries([...OUTER_REPOSITORY, ...OUTER_CONFIG].map((name) => [name, undefined])),
  GIT_CONFIG_GLOBAL: '/dev/null',
  GIT_CONFIG_SYSTEM: '/dev/null',
  GIT_AUTHOR_NAME: 'Ann Author',
  GIT_AUTHOR_EMAIL: 'ann@example.com',
  GIT_COMMITTER_NAME: 'Cal Committer',
  GIT_COMMITTER_EMAIL: 'cal@example.com',
  GIT_TERMINAL_PROMPT: '0',
  TZ: 'UTC',
  LC_ALL: 'C',
};

/**
 * Runs the machine's git as a client or for expected results, and returns its standard output
 * without the last line feed.
 *
 * @throws {Error} with git's error output when it fails.
 */
export async function runGit(args: readonly string[], options: RunProgramOptions = {}): Promise<string> {
  const { code, stdout, stderr } = await run('git', args, {
    ...options,
    env: { ...GIT_ENVIRONMENT, ...options.env },
  });
  if (code !== 0) throw new Error(`git ${args.join(' ')}: exit code ${code}: ${stderr}`);
  return stdout.replace(/\n$/, '');
}

/** Returns the version of the git under test: test runs use older and newer ones. */
export function testedGit(): GitVersion {
  const program = process.env.GITALY_TESTING_GIT_BINARY ?? 'git';
  const version = parseGitVersion(execFileSync(program, ['version'], { encoding: 'utf8' }));
  if (version === undefined) throw new Error(`${program} does not tell its version`);
  return version;
}
