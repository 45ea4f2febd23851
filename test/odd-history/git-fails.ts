/** A failure of calls that is git's own. */
export interface GitFails {
  /** Only in these states. */
  readonly state?: RegExp;
  readonly calls: RegExp;
  /** Of the server's error, after its code. */
  readonly message: RegExp;
  readonly reason: string;
  /** A command that fails for this reason with the git that runs. */
  readonly git?: readonly string[];
}

const ODD = 'refs/heads/odd';

/** Failures with the code of a fault: git cannot do what the call needs. */
export const GIT_FAILS: readonly GitFails[] = [
  {
    calls: /\/(FindLocalBranches|ListRefs|FindRefsByOID)$/,
    message: /exit(ed with)? (code|status) 128$/,
    reason: 'git lists references with dates only if it can represent them',
    git: ['for-each-ref', '--sort=-creatordate', 'refs/heads'],
  },
  {
    calls: /\/GetArchive$/,
    message: /^exit status 128$/,
    reason: 'git writes an archive only if it can represent the date',
    git: ['archive', '--format=zip', `${ODD}/date-before-1970`],
  },
  {
    calls: /\/GetArchive$/,
    message: /^exit status 255$/,
    reason: 'git writes no archive with a path that is not in the directory',
    git: ['archive', '--format=zip', `${ODD}/tree-names`],
  },
  {
    calls: /\/SSHUploadArchive$/,
    message: /archiver died with error/,
    reason: 'as GetArchive',
    git: ['archive', '--format=tar', `${ODD}/tree-names`],
  },
  {
    calls: /\/(ListCommits|FindCommits|ListLastCommitsForTree|GetFileAttributes)$/,
    message: /outside repository|^listing commits failed$|^exit status 128$|read line: EOF$/,
    reason: 'git refuses the path ..',
    git: ['log', '-1', 'main', '--', '..'],
  },
  {
    calls: /\/ListConflictFiles$/,
    message: /signal: aborted$/,
    reason: 'git aborts when it merges a name with a slash',
    git: ['merge-tree', '--write-tree', `${ODD}/root`, `${ODD}/tree-names`],
  },
  {
    calls: /\/ListLastCommitsForTree$/,
    message: /^commit not resolved for "a\/b/,
    reason: 'git finds no commit that changes a name with a slash',
  },
  {
    state: /detached/,
    calls:
      /\/(FindDefaultBranchName|FindAllBranches|CommitsByMessage|GenerateBundleURI|Wiki(GetAll|List)Pages)$/,
    message: /exit status 128$/,
    reason: 'a detached HEAD has no branch, which is an error in Gitaly',
    git: ['symbolic-ref', 'HEAD'],
  },
  {
    state: /shallow|grafts/,
    calls: /\/CommitStats$/,
    message: /^exit status 128$/,
    reason: 'the parent that the commit names is hidden',
    git: ['rev-parse', '--verify', `${ODD}/header-gpgsig^`, `${ODD}/header-unknown^`],
  },
  {
    state: /without a branch/,
    calls: /\/(ListCommits|ListBlobs|ListLFSPointers|CommitsByMessage)$/,
    message: /fatal: bad revision 'HEAD'|^exit status 128$/,
    reason: 'HEAD is no revision',
    git: ['rev-list', 'HEAD', '--'],
  },
  {
    calls: /\/FindRefsByOID$/,
    message: /invalid UTF-8$/,
    reason: 'the response has names as text, as in Gitaly',
  },
];
