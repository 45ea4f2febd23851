import { execFile } from 'node:child_process';
import { GIT_ENVIRONMENT } from './run-git.ts';

/** Longest output of one command. */
const MAX_OUTPUT_BYTES = 256 * 1024 * 1024;
const LIMIT_MS = 60_000;

/**
 * Runs the machine's git in a repository, without settings of the machine or its user, and returns
 * its standard output.
 *
 * @throws {Error} with git's error output when it fails
 */
export function gitBytes(
  directory: string,
  args: readonly string[],
  input: string | Uint8Array = '',
): Promise<Buffer> {
  const options = {
    cwd: directory,
    env: { ...process.env, ...GIT_ENVIRONMENT },
    encoding: 'buffer',
    maxBuffer: MAX_OUTPUT_BYTES,
    timeout: LIMIT_MS,
    killSignal: 'SIGKILL',
  } as const;
  return new Promise((resolve, reject) => {
    const child = execFile('git', args, options, (error, stdout, stderr) => {
      if (error === null) resolve(stdout);
      else reject(new Error(`git ${args.join(' ')}: ${stderr.toString().trim() || error.message}`));
    });
    child.stdin?.on('error', () => undefined); // it may end without reading
    child.stdin?.end(input);
  });
}
