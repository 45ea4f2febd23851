import { ConfigError } from '#platform/config/config-error';
import { loadConfig } from '#platform/config/load-config';

const NO_PATH = 'no configuration file path provided invoke with: gitaly-hooks check <config_path>';

/**
 * Runs `gitaly-hooks check CONFIG` as in 15.0: like `gitaly check`, with that version's messages.
 * Resolves to the exit code.
 */
export async function checkAsHooks(args: readonly string[]): Promise<number> {
  const [configPath] = args;
  if (configPath === undefined || args.length !== 1) {
    process.stderr.write(NO_PATH);
    return 1;
  }
  const { lines, failure } = await check(configPath);
  process.stdout.write(`${lines.join('\n')}\n`);
  if (failure === undefined) return 0;
  process.stderr.write(failure);
  return 1;
}

async function check(
  configPath: string,
): Promise<{ readonly lines: readonly string[]; readonly failure: string | undefined }> {
  const { checkGitlab } = await import('#tools/check-gitlab/check-gitlab');
  try {
    const { lines, failure } = await checkGitlab(await loadConfig(configPath));
    return { lines: failure === undefined ? lines : [FAILED], failure };
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return { lines: [FAILED], failure: error.message };
  }
}

const FAILED = 'Checking GitLab API access: FAIL';
