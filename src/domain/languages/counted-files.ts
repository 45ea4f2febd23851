import { GitalyError } from '#base/gitaly-error';
import { quote } from '#base/quote';
import type { AttributeFile } from '#git/attributes/tree-attributes';
import { GitExitError } from '#git/command/exit-error';
import { flag, gitCommand } from '#git/command/git-command';
import { outputBytes } from '#git/command/output-bytes';
import { parseRawRecords } from '#git/diff/raw-records';
import { kindOf } from '#git/trees/entry-kind';
import { resolveTree } from '#git/trees/resolve-tree';
import { MissingTreeError, walkTree } from '#git/trees/walk-tree';
import type { Repository } from '#storage/repository';

/** A file whose language is to be told. */
export interface CountedFile {
  readonly path: Buffer;
  readonly oid: string;
}

/** What to count. */
export interface FileList {
  readonly files: readonly CountedFile[];
  /** Paths that are no longer there. */
  readonly gone: readonly Buffer[];
  readonly attributeFiles: readonly AttributeFile[];
}

const ATTRIBUTES = '.gitattributes';
const SLASH = 0x2f;

/**
 * All files of a tree.
 *
 * @throws {GitalyError} without a code: `ls-tree pipeline command: exit status 128, stderr: "fatal: not a tree object\n"`.
 */
export async function allFiles(repository: Repository, commitId: string, signal: AbortSignal): Promise<FileList> {
  const found = await resolveTree(repository.git, repository, Buffer.from(commitId), { peel: true, signal });
  if (found.kind !== 'tree') throw await treeFailure(repository, commitId, signal);
  const files: CountedFile[] = [];
  const attributeFiles: AttributeFile[] = [];
  try {
    for await (const batch of walkTree(repository.objects, found.tree, { recursive: true, signal })) {
      for (const { kind, path, oid } of batch) {
        if (kind !== 'blob') continue;
        files.push({ path, oid });
        if (isAttributes(path)) attributeFiles.push({ directory: directoryOf(path), oid });
      }
    }
  } catch (error) {
    throw error instanceof MissingTreeError ? await treeFailure(repository, commitId, signal) : error;
  }
  return { files, gone: [], attributeFiles };
}

/**
 * The files that differ between two commits; `undefined` when everything has to be looked at: attributes changed, or the old commit is not
 * there any more.
 */
export async function changedFiles(
  repository: Repository,
  { from, to }: { readonly from: string; readonly to: string },
  signal: AbortSignal,
): Promise<FileList | undefined> {
  const files: CountedFile[] = [];
  const gone: Buffer[] = [];
  const directories = new Map<string, Buffer>([['', Buffer.alloc(0)]]);
  try {
    const options = [flag('-r'), flag('-z'), flag('--no-renames'), flag('--ignore-submodules')];
    const command = gitCommand('diff-tree', { options, revisions: [from, to] });
    for await (const records of parseRawRecords(outputBytes(repository.git, repository, command, { signal }))) {
      for (const { path, newMode, newOid } of records) {
        if (isAttributes(path)) return undefined;
        if (newMode === 0 || kindOf(newMode) !== 'blob') gone.push(path);
        else files.push({ path, oid: newOid });
        addDirectories(directories, path);
      }
    }
  } catch (error) {
    if (signal.aborted || !(error instanceof GitExitError)) throw error;
    return undefined;
  }
  return {
    files,
    gone,
    attributeFiles: await attributeFilesIn(repository, to, { directories: [...directories.values()], signal }),
  };
}

async function attributeFilesIn(
  { objects }: Repository,
  commitId: string,
  { directories, signal }: { readonly directories: readonly Buffer[]; readonly signal: AbortSignal },
): Promise<AttributeFile[]> {
  const found = await Promise.all(
    directories.map(async (directory) => {
      const path = Buffer.concat([directory, Buffer.from(directory.length === 0 ? ATTRIBUTES : `/${ATTRIBUTES}`)]);
      const info = await objects.info(Buffer.concat([Buffer.from(`${commitId}:`), path]), { signal });
      return info?.type === 'blob' ? [{ directory, oid: info.oid }] : [];
    }),
  );
  return found.flat();
}

function addDirectories(directories: Map<string, Buffer>, path: Buffer): void {
  for (let end = path.lastIndexOf(SLASH); end > 0; end = path.lastIndexOf(SLASH, end - 1)) {
    const key = path.toString('latin1', 0, end);
    if (directories.has(key)) return;
    directories.set(key, path.subarray(0, end));
  }
}

function isAttributes(path: Buffer): boolean {
  return path.toString('latin1', path.lastIndexOf(SLASH) + 1) === ATTRIBUTES;
}

function directoryOf(path: Buffer): Buffer {
  return path.subarray(0, Math.max(0, path.lastIndexOf(SLASH)));
}

/** What git says of a tree that cannot be listed. */
async function treeFailure(repository: Repository, commitId: string, signal: AbortSignal): Promise<unknown> {
  const command = gitCommand('ls-tree', { options: [flag('-r'), flag('-z')], args: [commitId] });
  try {
    for await (const _ of outputBytes(repository.git, repository, command, { signal }));
    return new GitalyError('UNKNOWN', 'the tree cannot be read');
  } catch (error) {
    if (signal.aborted || !(error instanceof GitExitError)) return error;
    return new GitalyError('UNKNOWN', `ls-tree pipeline command: ${error.message}, stderr: ${quote(error.stderr)}`, {
      cause: error,
    });
  }
}
