import { runBytes } from '../run-program.ts';
import { GIT_ENVIRONMENT } from './run-git.ts';

/**
 * Runs the machine's git in a repository, without settings of the machine or its user, and returns
 * its standard output.
 *
 * @throws {Error} with git's error output when it fails
 */
export async function gitBytes(
  directory: string,
  args: readonly string[],
  input: string | Uint8Array = '',
): Promise<Buffer> {
  const options = { cwd: directory, env: GIT_ENVIRONMENT, input };
  const { code, stdout, stderr } = await runBytes('git', args, options);
  if (code !== 0) throw new Error(`git ${args.join(' ')}: ${stderr.toString().trim()}`);
  return stdout;
}
