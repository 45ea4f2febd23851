import { gitOutput } from './init-repository.ts';

/** A file of a commit: its content, or its content with a mode. */
export type NewFile =
  | string
  | Buffer
  | { readonly mode: '100644' | '100755' | '120000'; readonly content: string | Buffer };

export interface CommitFilesOptions {
  /** Full name of the reference; default `refs/heads/main`. Its commit is the parent. */
  readonly ref?: string;
  /** Starts a history without a parent. */
  readonly isRoot?: boolean;
}

/**
 * Adds a commit of some files to a bare repository, with `git fast-import`, and returns its id. The
 * files are all that the commit contains.
 *
 * @param files contents by path.
 */
export function commitFiles(
  directory: string,
  files: Readonly<Record<string, NewFile>>,
  { ref = 'refs/heads/main', isRoot = false }: CommitFilesOptions = {},
): string {
  const exists = gitOutput(directory, ['for-each-ref', ref]) !== '';
  const parts: (string | Buffer)[] = [
    `commit ${ref}\ncommitter Cal Committer <cal@example.com> 1600000000 +0000\ndata 5\nfiles\n`,
  ];
  if (exists && !isRoot) parts.push(`from ${ref}^0\n`);
  parts.push('deleteall\n');
  for (const [path, file] of Object.entries(files)) {
    const { mode, content } =
      typeof file === 'object' && 'mode' in file ? file : { mode: '100644', content: file };
    const bytes = Buffer.from(content);
    parts.push(`M ${mode} inline ${quotePath(path)}\ndata ${bytes.length}\n`, bytes, '\n');
  }
  gitOutput(
    directory,
    ['fast-import', '--quiet', '--force'],
    Buffer.concat(parts.map((part) => Buffer.from(part))),
  );
  return gitOutput(directory, ['rev-parse', ref]);
}

function quotePath(path: string): string {
  return `"${path.replace(/[\\"]/g, '\\$&').replaceAll('\n', '\\n')}"`;
}
