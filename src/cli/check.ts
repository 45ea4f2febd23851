import { readConfigOrExplain } from './read-config-or-explain.ts';

/** Runs `gitaly check CONFIG`, which checks GitLab's internal API. Resolves to the exit code. */
export async function check(configPath: string): Promise<number> {
  const config = await readConfigOrExplain(configPath);
  if (config === undefined) return 1;
  const { checkGitlab } = await import('#gitaly/check-gitlab');
  const { lines, failure } = await checkGitlab(config);
  process.stdout.write(`${lines.join('\n')}\n`);
  if (failure === undefined) return 0;
  process.stderr.write(`${failure}\n`);
  return 1;
}
