import { checkRepositoryPath, type RepositoryPath } from '../repository-path.ts';

/** What clients may run. */
export type SshGitService = 'git-upload-pack' | 'git-receive-pack' | 'git-upload-archive';

export interface GitCommand {
  readonly service: SshGitService;
  readonly path: RepositoryPath;
}

/** `git-upload-pack 'a.git'` as git sends it; by hand also `git upload-pack a.git`. */
const COMMAND = /^git[- ](upload-pack|receive-pack|upload-archive) +(.+)$/s;
/** One argument as git quotes it: in single quotes, with `'\''` for a quote and `'\!'` for an exclamation mark. */
const QUOTED = /^'((?:[^'!]|'\\['!]')*)'$/s;
/** Without quotes nothing may be in it that a shell would read otherwise. */
const BARE = /^[\w./~+@:,%=-]+$/;

/** Longer commands are refused unread; the longest path fits, even if all of it is quotes. */
const MAX_COMMAND_LENGTH = 8192;

/** Reads the command that a client asks for. No shell ever sees it. @returns the command, or why it is refused. */
export function parseGitCommand(text: string): GitCommand | { readonly refusal: string } {
  if (text.length > MAX_COMMAND_LENGTH) return { refusal: 'The command is too long.' };
  const [, name, argument] = COMMAND.exec(text) ?? [];
  if (name === undefined || argument === undefined) {
    return { refusal: 'Only git-upload-pack, git-receive-pack and git-upload-archive with a repository are allowed here.' };
  }
  const decoded = unquote(argument);
  if (decoded === undefined) return { refusal: 'The command must name one repository, quoted as git does it.' };
  // `host:/a.git`, `host:a.git` and `ssh://host/a.git` mean the same, as there is only one place for repositories.
  const path = checkRepositoryPath(decoded.replace(/^\//, '').split('/'));
  if (typeof path !== 'string') return path;
  return { service: `git-${name as 'upload-pack' | 'receive-pack' | 'upload-archive'}`, path }; // the pattern has these three
}

function unquote(argument: string): string | undefined {
  const quoted = QUOTED.exec(argument)?.[1];
  if (quoted !== undefined) return quoted.replaceAll(/'\\(['!])'/g, '$1');
  return BARE.test(argument) ? argument : undefined;
}
