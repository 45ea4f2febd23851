import type { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { GitalyError } from '#base/gitaly-error';
import { type TreeEntry, TreeEntry_EntryType, TreeEntryResponse_ObjectType } from '#wire/gen/commit_pb';
import type { CallOptions } from '../call/call-types.ts';
import { openTreeEntry } from '../content/open-content.ts';
import { type PageOptions, paginate } from '../content/paginate.ts';
import type { Place } from './place.ts';
import { bufferOf, decodeText, type TextOrBytes, toBytes } from './values.ts';

/** A file, directory or submodule in a tree. */
export interface FileEntry {
  readonly path: string;
  readonly pathBytes: Buffer;
  readonly type: 'file' | 'directory' | 'submodule';
  /** `0o100644`, `0o100755`, `0o120000` (a link) and similar. */
  readonly mode: number;
  /** Id of the blob, tree or, for a submodule, commit. */
  readonly oid: string;
}

export interface FilesOptions extends PageOptions {
  /** A directory. Default: the top. */
  readonly path?: TextOrBytes;
  /** Includes the contents of directories. Default: true. */
  readonly recursive?: boolean;
}

const TYPES: { readonly [type in TreeEntry_EntryType]: FileEntry['type'] } = {
  [TreeEntry_EntryType.BLOB]: 'file',
  [TreeEntry_EntryType.TREE]: 'directory',
  [TreeEntry_EntryType.COMMIT]: 'submodule',
};

/**
 * Opens a file (RPC TreeEntry).
 *
 * @throws {GitalyError} NOT_FOUND; FAILED_PRECONDITION for a directory or submodule.
 */
export async function openFile(
  { connection, repository }: Place,
  { revision, path }: { readonly revision: TextOrBytes; readonly path: TextOrBytes },
  options: CallOptions,
): Promise<Readable> {
  const request = { repository, revision: toBytes(revision), path: toBytes(path) };
  const entry = await openTreeEntry(connection, request, options).catch(unlessNotFound);
  if (entry === undefined) {
    // The server's error does not show which of the two is missing, and Gitaly 15 reports none.
    const { commit } = await connection.commit.findCommit(
      { repository, revision: request.revision },
      options,
    );
    const missing = commit === undefined ? 'no commit' : `no file ${decodeText(request.path)}`;
    throw new GitalyError('NOT_FOUND', `${missing} at ${decodeText(request.revision)}`);
  }
  if (entry.type === TreeEntryResponse_ObjectType.BLOB) return entry.content;
  entry.content.destroy();
  throw new GitalyError('FAILED_PRECONDITION', `${decodeText(request.path)} is no file`);
}

function unlessNotFound(error: unknown): undefined {
  if (!(error instanceof GitalyError) || error.code !== 'NOT_FOUND') throw error;
}

/** Reads a file. @throws as {@link openFile}. */
export async function readBytes(...args: Parameters<typeof openFile>): Promise<Buffer> {
  return await buffer(await openFile(...args));
}

/** Yields what is in a directory of a revision (RPC GetTreeEntries, a call for each page). */
export async function* files(
  { connection, repository }: Place,
  revision: TextOrBytes,
  { path = '.', recursive = true, ...options }: FilesOptions,
): AsyncGenerator<FileEntry, void, undefined> {
  const request = { repository, revision: toBytes(revision), path: toBytes(path), recursive };
  for await (const entry of paginate.treeEntries(connection, request, options)) {
    if (!recursive || entry.type !== TreeEntry_EntryType.TREE) yield entryOf(entry);
  }
}

function entryOf({ path, type, mode, oid }: TreeEntry): FileEntry {
  return { path: decodeText(path), pathBytes: bufferOf(path), type: TYPES[type], mode, oid };
}
