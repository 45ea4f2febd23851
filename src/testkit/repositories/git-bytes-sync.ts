import { outputSync } from '../run-program-sync.ts';
import { GIT_ENVIRONMENT } from './run-git.ts';

/** Runs git like `gitBytes`, and blocks until it ends: for tests of synchronous code. */
export function gitBytesSync(directory: string, args: readonly string[]): Buffer {
  return outputSync('git', args, { cwd: directory, env: GIT_ENVIRONMENT });
}
