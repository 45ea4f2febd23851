import { GitalyError } from '#base/gitaly-error';
import { quote } from '#base/go/quote';
import { mapAhead } from '#base/streams/map-ahead';
import type { AttributeFile } from '#git/attributes/tree-attributes';
import { flag, gitCommand } from '#git/command/git-command';
import { FallBackToGit } from '#git/command/in-process';
import { outputBytes } from '#git/command/output';
import { GitExitError } from '#git/command/process/exit-error';
import type { Trees } from '#git/diff/in-process/changed-files';
import { rawOfTrees } from '#git/diff/in-process/diff-trees';
import { parseRawRecords } from '#git/diff/parse/raw-records';
import { kindOf } from '#git/names/entry-kind';
import { isOid } from '#git/names/object-id';
import { resolveTree } from '#git/trees/resolve-tree';
import { MissingTreeError, walkTree } from '#git/trees/walk-tree';
import type { Repository } from '#storage/repository';

/** File whose language is to be detected. */
export interface CountedFile {
  readonly path: Buffer;
  readonly oid: string;
}

export interface FileList {
  readonly files: readonly CountedFile[];
  /** Paths that no longer exist. */
  readonly gone: readonly Buffer[];
  readonly attributeFiles: readonly AttributeFile[];
}

const ATTRIBUTES = '.gitattributes';
/** A change may affect many directories; all look-ups wait for the same process. */
const LOOK_UPS_AT_ONCE = 128;
const SLASH = 0x2f;

/**
 * Lists all files of a tree.
 *
 * @throws {GitalyError} without a code:
 * `ls-tree pipeline command: exit status 128, stderr: "fatal: not a tree object\n"`.
 */
export async function allFiles(
  repository: Repository,
  commitId: string,
  signal: AbortSignal,
): Promise<FileList> {
  const found = await resolveTree(repository, Buffer.from(commitId), { peel: true, signal });
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
 * Lists the files that differ between two commits; `undefined` when all files have to be counted:
 * attributes changed, or the old commit no longer exists.
 */
export async function changedFileList(
  repository: Repository,
  { from, to }: { readonly from: string; readonly to: string },
  signal: AbortSignal,
): Promise<FileList | undefined> {
  const files: CountedFile[] = [];
  const gone: Buffer[] = [];
  const directories = new Map<string, Buffer>([['', Buffer.alloc(0)]]);
  try {
    for await (const records of parseRawRecords(changesOf(repository, { from, to }, signal))) {
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
    attributeFiles: await attributeFilesIn(repository, to, {
      directories: [...directories.values()],
      signal,
    }),
  };
}

async function* changesOf(
  repository: Repository,
  { from, to }: { readonly from: string; readonly to: string },
  signal: AbortSignal,
): AsyncGenerator<Buffer> {
  const here = await repository.inProcess.attempt<Buffer | undefined>(
    'changed_files',
    async () =>
      await rawOfTrees(repository, await treesOf(repository, [from, to], signal), {
        signal,
      }),
    () => undefined,
  );
  if (here !== undefined) {
    yield here;
    return;
  }
  const options = [flag('-r'), flag('-z'), flag('--no-renames'), flag('--ignore-submodules')];
  yield* outputBytes(repository, gitCommand('diff-tree', { options, revisions: [from, to] }), { signal });
}

async function treesOf(
  repository: Repository,
  names: readonly [string, string],
  signal: AbortSignal,
): Promise<Trees> {
  const [before, after] = await Promise.all(
    names.map(async (name) =>
      isOid(name) ? await repository.objects.info(`${name}^{tree}`, { signal }) : undefined,
    ),
  );
  if (before === undefined || after === undefined) throw new FallBackToGit('a tree is missing');
  return { before: before.oid, after: after.oid };
}

async function attributeFilesIn(
  { objects }: Repository,
  commitId: string,
  { directories, signal }: { readonly directories: readonly Buffer[]; readonly signal: AbortSignal },
): Promise<AttributeFile[]> {
  const lookUp = async (directory: Buffer): Promise<AttributeFile[]> => {
    const name = Buffer.from(directory.length === 0 ? ATTRIBUTES : `/${ATTRIBUTES}`);
    const path = Buffer.concat([Buffer.from(`${commitId}:`), directory, name]);
    const info = await objects.info(path, { signal });
    return info?.type === 'blob' ? [{ directory, oid: info.oid }] : [];
  };
  const found: AttributeFile[] = [];
  for await (const files of mapAhead(directories, LOOK_UPS_AT_ONCE, lookUp)) found.push(...files);
  return found;
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

/** Returns git's error for a tree that cannot be listed. */
async function treeFailure(repository: Repository, commitId: string, signal: AbortSignal): Promise<unknown> {
  const command = gitCommand('ls-tree', { options: [flag('-r'), flag('-z')], revisions: [commitId] });
  try {
    for await (const _ of outputBytes(repository, command, { signal }));
    return new GitalyError('UNKNOWN', 'the tree cannot be read');
  } catch (error) {
    if (signal.aborted || !(error instanceof GitExitError)) return error;
    return new GitalyError(
      'UNKNOWN',
      `ls-tree pipeline command: ${error.message}, stderr: ${quote(error.stderr)}`,
      {
        cause: error,
      },
    );
  }
}
