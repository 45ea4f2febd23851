import { outputSync } from '../run-program-sync.ts';
import { GIT_ENVIRONMENT } from './run-git.ts';

/** As `gitBytes`, and waits for the result: for tests of what is read without waiting. */
export function gitBytesSync(directory: string, args: readonly string[]): Buffer {
  return outputSync('git', args, { cwd: directory, env: GIT_ENVIRONMENT });
}
