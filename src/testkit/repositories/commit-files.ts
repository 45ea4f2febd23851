import { gitOutput } from './init-repository.ts';

/** Length of a stream from which its objects are not compressed. */
const LARGE_BYTES = 1 << 20;

/** A file of a commit: its content, or its content with a mode. */
export type NewFile =
  | string
  | Uint8Array
  | { readonly mode: '100644' | '100755' | '120000'; readonly content: string | Uint8Array };

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
  const hasParent = !isRoot && gitOutput(directory, ['for-each-ref', ref]) !== '';
  const parts: (string | Buffer)[] = [
    `commit ${ref}\ncommitter Cal Committer <cal@example.com> 1600000000 +0000\ndata 5\nfiles\n`,
  ];
  if (hasParent) parts.push(`from ${ref}^0\n`);
  parts.push('deleteall\n');
  for (const [path, file] of Object.entries(files)) {
    const { mode, content } =
      typeof file === 'object' && 'mode' in file ? file : { mode: '100644', content: file };
    const bytes = Buffer.from(content);
    parts.push(`M ${mode} inline ${quotePath(path)}\ndata ${bytes.length}\n`, bytes, '\n');
  }
  fastImport(directory, Buffer.concat(parts.map((part) => Buffer.from(part))));
  return gitOutput(directory, ['rev-parse', ref]);
}

/**
 * Runs `git fast-import` with a stream. A large stream is not compressed: most are random bytes,
 * for which compression takes a quarter of a second for each 8 MiB and saves nothing.
 */
export function fastImport(directory: string, stream: Buffer): void {
  const settings = stream.length > LARGE_BYTES ? ['-c', 'core.compression=0'] : [];
  gitOutput(directory, [...settings, 'fast-import', '--quiet', '--force'], stream);
}

function quotePath(path: string): string {
  return `"${path.replace(/[\\"]/g, '\\$&').replaceAll('\n', '\\n')}"`;
}
