import { type GitalyError, invalidArgument } from '#base/gitaly-error';
import { flag, type GitCommand, gitCommand } from '#git/command/git-command';

/** A pack to make, as upload-pack orders it from its hook. */
export interface PackObjectsRequest {
  readonly command: GitCommand;
  readonly env: Readonly<Record<string, string>>;
}

/**
 * Parses the arguments that upload-pack passes to its hook: `[--shallow-file ""] pack-objects
 * <options>`, with `--stdout` among them.
 *
 * @throws {GitalyError} INVALID_ARGUMENT `invalid pack-objects command: [<words>]: …`, with
 * `missing pack-objects`, `non-flag argument` or `missing --stdout`.
 */
export function parsePackObjectsRequest(words: readonly string[]): PackObjectsRequest {
  const forShallowClient = words[0] === '--shallow-file' && words[1] === '';
  const [name, ...options] = forShallowClient ? words.slice(2) : words;
  if (name !== 'pack-objects') throw refused(words, 'missing pack-objects');
  if (options.some((option) => !option.startsWith('-'))) throw refused(words, 'non-flag argument');
  if (!options.includes('--stdout')) throw refused(words, 'missing --stdout');

  const others = options.filter((option) => option !== '--stdout');
  return {
    command: gitCommand('pack-objects', { options: ['--stdout', ...others].map(flag) }),
    // The same as git's option --shallow-file: the shallow commits are the client's, not those of
    // the repository.
    env: forShallowClient ? { GIT_SHALLOW_FILE: '' } : {},
  };
}

function refused(words: readonly string[], reason: string): GitalyError {
  return invalidArgument(`invalid pack-objects command: [${words.join(' ')}]: ${reason}`);
}
