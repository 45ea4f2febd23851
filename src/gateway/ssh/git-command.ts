import { checkRepositoryPath, type RepositoryPath } from '../repository-path.ts';

/** Commands that clients may run. */
export type SshGitService = 'git-upload-pack' | 'git-receive-pack' | 'git-upload-archive';

export interface ServedCommand {
  readonly service: SshGitService;
  readonly path: RepositoryPath;
}

/**
 * Matches `git-upload-pack 'a.git'` as sent by git, and `git upload-pack a.git` as typed by a
 * person.
 */
const COMMAND = /^git[- ](upload-pack|receive-pack|upload-archive) +(.+)$/s;
/**
 * Matches one argument as git quotes it: in single quotes, with `'\''` for a quote and `'\!'` for
 * an exclamation mark.
 */
const QUOTED = /^'((?:[^'!]|'\\['!]')*)'$/s;
/** Matches an unquoted argument without characters that are special in a shell. */
const BARE = /^[\w./~+@:,%=-]+$/;

/** Commands by which git-lfs requests the address of its files, or the files, over SSH. */
const LFS = /^git[- ]lfs-(?:authenticate|transfer)(?: |$)/;
const LFS_REFUSED = 'Files of Git LFS are not sent over SSH. Set lfs.url to the address of an LFS server.';

/** Length limit of commands; the longest path fits, even if all of it is quotes. */
const MAX_COMMAND_LENGTH = 8192;

/**
 * Parses a client's command without a shell.
 *
 * @param others names of the commands that are served besides those of git, for a refusal.
 * @returns the command, or the reason of a refusal.
 */
export function parseGitCommand(
  text: string,
  others: readonly string[] = [],
): ServedCommand | { readonly refusal: string } {
  if (text.length > MAX_COMMAND_LENGTH) return { refusal: 'The command is too long.' };
  if (LFS.test(text)) return { refusal: LFS_REFUSED };
  const [, name, argument] = COMMAND.exec(text) ?? [];
  if (name === undefined || argument === undefined) {
    const ofGit = 'git-upload-pack, git-receive-pack and git-upload-archive with a repository';
    const rest = others.length === 0 ? '' : `, and the commands ${others.join(', ')}`;
    return { refusal: `Only ${ofGit}${rest} are allowed here.` };
  }
  const decoded = unquote(argument);
  if (decoded === undefined)
    return { refusal: 'The command must name one repository, quoted as git quotes it.' };
  // `host:/a.git`, `host:a.git` and `ssh://host//a.git/` are equivalent, because there is only one
  // root for repositories.
  const segments = decoded.split('/');
  const start = segments.findIndex(isNamed);
  const path = checkRepositoryPath(segments.slice(Math.max(0, start), segments.findLastIndex(isNamed) + 1));
  if (typeof path !== 'string') return path;
  // the pattern has these three
  return { service: `git-${name as 'upload-pack' | 'receive-pack' | 'upload-archive'}`, path };
}

function isNamed(segment: string): boolean {
  return segment !== '';
}

/** Returns an argument as a shell would; `undefined` for one that is not quoted as git does. */
export function unquote(argument: string): string | undefined {
  const quoted = QUOTED.exec(argument)?.[1];
  if (quoted !== undefined) return quoted.replaceAll(/'\\(['!])'/g, '$1');
  return BARE.test(argument) ? argument : undefined;
}
