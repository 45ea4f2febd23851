import { isUtf8 } from 'node:buffer';
import { type Static, Type } from 'typebox';
import { codeOf } from '#base/gitaly-error';
import { requestedContent } from '#base/network/requested-content';
import { partOf } from '#base/streams/part-of';
import type { CallOptions } from '#client/call/call-types';
import { blameLines } from '#client/content/blame-lines';
import { findText } from '#client/content/find-text';
import { openArchive, openTreeEntry } from '#client/content/open-content';
import {
  TreeEntry_EntryType as EntryType,
  TreeEntryResponse_ObjectType as ObjectType,
  GetTreeEntriesRequest_SortBy as SortBy,
  type TreeEntry,
} from '#wire/gen/commit_pb';
import { GetArchiveRequest_Format as Format } from '#wire/gen/repository_pb';
import { operation } from '../operation.ts';
import { Problem } from '../problems.ts';
import { NewCommitAnswer, PathAnswer, pathAnswer } from '../schemas/answers.ts';
import { branch, LIST_QUERY, objectId, oneOf, pathBytes, revision, text } from '../schemas/parts.ts';
import { created } from './commits.ts';
import { commitId, ifMatch, requireCommit } from './expected.ts';
import { LFS_QUERY, type ResolvedFile, resolveLfsFile } from './lfs-file.ts';
import { formatPosition, type ListPosition, parsePosition } from './list-position.ts';

const AT = { revision: Type.Optional(revision('Branch, tag, id or other revision. Default: HEAD.')) };
const FILE = { path: pathBytes('Path of the file. Its slashes may be written as they are.') };
const FILE_EXAMPLE = { parameters: { path: 'README.md' }, query: { revision: 'main' } } as const;

const EntryAnswer = Type.Object(
  {
    ...PathAnswer,
    type: oneOf(['file', 'directory', 'submodule'], 'Kind of the entry; a link is a file.'),
    mode: Type.String({ description: 'As in git: 100644, 100755, 120000 (a link), 040000, 160000.' }),
    id: objectId('Id of the blob, tree or, for a submodule, commit.'),
  },
  { title: 'TreeEntry' },
);
const TYPES: { readonly [type in EntryType]: Static<typeof EntryAnswer>['type'] } = {
  [EntryType.BLOB]: 'file',
  [EntryType.TREE]: 'directory',
  [EntryType.COMMIT]: 'submodule',
};

export const listTree = operation({
  id: 'listTree',
  tool: 'list_files',
  method: 'GET',
  path: '/repositories/{repository}/tree',
  summary: 'List the entries of a directory, or all below it',
  right: 'read',
  query: {
    ...AT,
    path: Type.Optional(pathBytes('Path of the directory. Default: the top.')),
    recursive: Type.Optional(Type.Boolean({ description: 'Lists everything below. Default: false.' })),
    ...LIST_QUERY,
  },
  answer: { kind: 'list', schema: EntryAnswer },
  example: { query: { revision: 'main', recursive: 'true' } },
  serve: async ({ options, place, query, repository }) => {
    const { path = Buffer.from('.'), recursive = false } = query;
    return {
      page: async (after, limit) => {
        const { id, position } =
          after === undefined
            ? { id: await commitId(repository, query.revision, options), position: parsePosition(after) }
            : parseCursor(after);
        const { skip, token } = position;
        const paginationParams = { limit: skip + limit, pageToken: token };
        const responses = place.connection.commit.getTreeEntries(
          {
            ...{ repository: place.repository, revision: Buffer.from(id), path, recursive },
            ...{ sort: SortBy.DEFAULT, skipFlatPaths: true, paginationParams },
          },
          options,
        );
        const items: TreeEntry[] = [];
        let count = 0;
        let next = '';
        for await (const { entries, paginationCursor } of responses) {
          for (const entry of entries) if (++count > skip) items.push(entry);
          next = paginationCursor?.nextCursor ?? next;
        }
        // The cursor of a name that is not UTF-8 leads nowhere.
        const behind = isUtf8(items.at(-1)?.path ?? NO_PATH) ? next : undefined;
        return {
          items: items.map(entryAnswer),
          next: next === '' ? undefined : `${id} ${formatPosition(position, items.length, behind)}`,
        };
      },
    };
  },
});

const NO_PATH = Buffer.alloc(0);
const CURSOR = /^([0-9a-f]{40}|[0-9a-f]{64}) (.+)$/;

function parseCursor(text: string): { id: string; position: ListPosition } {
  const [, id, position] = CURSOR.exec(text) ?? [];
  if (id === undefined) throw new Problem('invalid-request', 400, 'The cursor is not one of this list.');
  return { id, position: parsePosition(position) };
}

function entryAnswer({ mode, oid, path, type }: TreeEntry): Static<typeof EntryAnswer> {
  return {
    ...pathAnswer(Buffer.from(path)),
    type: TYPES[type],
    mode: mode.toString(8).padStart(6, '0'),
    id: oid,
  };
}

export const readFile = operation({
  id: 'readFile',
  tool: 'read_file',
  method: 'GET',
  path: '/repositories/{repository}/files/{path}',
  summary: 'Read the bytes of a file, or a range of them',
  description:
    'The ETag is the id of the blob. `Range` and `If-None-Match` work. With `lfs=resolve`, a pointer of ' +
    'Git LFS is answered with its file, whose ETag is its SHA-256.',
  right: 'read',
  parameters: FILE,
  query: { ...AT, lfs: Type.Optional(LFS_QUERY) },
  answer: { kind: 'bytes', type: 'application/octet-stream' },
  example: FILE_EXAMPLE,
  serve: async ({ headers, isHead, lfs, options, parameters, place, query, repository }) => {
    const { revision: asked = 'HEAD' } = query;
    const { path } = parameters;
    const request = { repository: place.repository, revision: Buffer.from(asked), path };
    // A slow client may take longer than a call.
    const { timeoutMs: _, ...untimed } = options;
    const entry = await openTreeEntry(place.connection, request, untimed).catch(async (error: unknown) => {
      // It says whether the revision is missing.
      if (codeOf(error) === 'NOT_FOUND') await requireCommit(repository, asked, options);
      throw error;
    });
    if (entry?.type !== ObjectType.BLOB) {
      entry?.content.destroy();
      throw new Problem('not-found', 404, 'There is no such file.');
    }
    const { content, oid, size } = entry;
    let file: ResolvedFile | undefined;
    try {
      if (query.lfs === 'resolve')
        file = await resolveLfsFile(entry, { headers, options: untimed, place, store: lfs });
    } catch (error) {
      content.destroy();
      throw error;
    }
    const requested =
      file?.requested ?? requestedContent(headers, { etag: `"${oid}"`, sizeBytes: Number(size) });
    const { range, status } = requested;
    if (isHead || range === undefined || file !== undefined) content.destroy();
    return {
      status,
      headers: {
        'Content-Type': 'application/octet-stream',
        'Content-Security-Policy': "default-src 'none'; sandbox",
        ...requested.headers,
      },
      stream: file === undefined ? range && partOf(content, range) : file.stream,
    };
  },
});

export const writeFile = operation({
  id: 'writeFile',
  method: 'PUT',
  path: '/repositories/{repository}/files/{path}',
  summary: 'Commit the content of one file, of any size',
  description:
    'The file is created or replaced. With `If-Match` it must have this blob now, with `If-None-Match: *` ' +
    'it must not exist.',
  right: 'write',
  parameters: FILE,
  query: {
    branch: branch('Branch that gets the commit'),
    message: text('Message of the commit.', 4096),
  },
  body: 'bytes',
  answer: { kind: 'json', status: 201, schema: NewCommitAnswer },
  example: {
    parameters: { path: 'notes.txt' },
    query: { branch: 'main', message: 'Add notes' },
    body: 'Some notes\n',
  },
  serve: async ({ content, headers, options, parameters, path: at, place, query, repository }) => {
    const { timeoutMs: _, ...untimed } = options;
    const { path } = parameters;
    const tip = await repository.findCommit(`refs/heads/${query.branch}`, options);
    const current = tip && (await blobAt(place, { revision: tip.id, path }, options));
    requireBlob(headers, current);
    const action = current === undefined ? 'create' : 'update';
    const id = await repository.commit({
      ...untimed,
      ...{ branch: query.branch, message: query.message, actions: [{ type: action, path, content }] },
      ...(tip && { expectedOid: tip.id }),
    });
    return created(id, at);
  },
});

/** Returns the id of the blob at a path; `undefined` if there is none. */
async function blobAt(
  { connection, repository }: Parameters<typeof findText>[0],
  { path, revision: at }: { readonly revision: string; readonly path: Buffer },
  options: CallOptions,
): Promise<string | undefined> {
  const revisionPaths = [{ revision: at, path }];
  for await (const { oid } of connection.blob.getBlobs({ repository, revisionPaths, limit: 0n }, options))
    if (oid !== '') return oid;
  return undefined;
}

/** @throws {Problem} unless the file is as the headers want it. */
function requireBlob(headers: Parameters<typeof ifMatch>[0], current: string | undefined): void {
  const wanted = ifMatch(headers);
  const mustBeNew = headers['if-none-match']?.trim() === '*';
  if ((wanted === undefined || wanted === current) && !(mustBeNew && current !== undefined)) return;
  const detail =
    current === undefined ? 'The file does not exist now.' : `The file has the blob ${current} now.`;
  throw new Problem('file-changed', 412, detail, { facts: { current: current ?? null } });
}

const MatchAnswer = Type.Object({
  ...PathAnswer,
  line: Type.Integer({ description: 'Number of the first line.' }),
  lines: Type.Array(Type.String()),
});

export const searchFiles = operation({
  id: 'searchFiles',
  tool: 'search_files',
  method: 'GET',
  path: '/repositories/{repository}/search',
  summary: 'Search the files of a revision for a text, ignoring case',
  right: 'read',
  query: { text: text('Text to search.', 200), ...AT },
  answer: {
    kind: 'json',
    status: 200,
    schema: Type.Object({
      revision: objectId('The commit that was searched.'),
      matches: Type.Array(MatchAnswer),
      isCut: Type.Boolean({ description: 'True if there are more than 50.' }),
    }),
  },
  example: { query: { text: 'hello', revision: 'main' } },
  serve: async ({ options, place, query, repository }) => {
    const id = await commitId(repository, query.revision, options);
    const { isCut, matches } = await findText(place, { revision: id, text: query.text }, options);
    const shown = matches.map(({ firstLine, lines, path }) => ({
      ...pathAnswer(path),
      line: firstLine,
      lines,
    }));
    return { json: { revision: id, matches: shown, isCut } };
  },
});

const MAX_BLAME_LINES = 1000;
const MAX_BLAME_BYTES = 4 << 20;

const BlameAnswer = Type.Object({
  revision: objectId('The commit of the file.'),
  lines: Type.Array(
    Type.Object({
      line: Type.Integer(),
      commit: objectId('Commit that last changed the line.'),
      author: Type.String(),
      date: Type.String({ format: 'date-time' }),
      subject: Type.String(),
      text: Type.String(),
    }),
  ),
});

export const blameFile = operation({
  id: 'blameFile',
  method: 'GET',
  path: '/repositories/{repository}/blame/{path}',
  summary: 'Read which commit last changed each line of a file',
  right: 'read',
  parameters: FILE,
  query: {
    ...AT,
    from: Type.Optional(
      Type.Integer({ minimum: 1, maximum: 10_000_000, description: 'First line. Default 1.' }),
    ),
    count: Type.Optional(
      Type.Integer({ minimum: 1, maximum: MAX_BLAME_LINES, description: 'Lines. Default 1000.' }),
    ),
  },
  answer: { kind: 'json', status: 200, schema: BlameAnswer },
  example: FILE_EXAMPLE,
  serve: async ({ options, parameters, place, query, repository }) => {
    const { count = MAX_BLAME_LINES, from = 1 } = query;
    const id = await commitId(repository, query.revision, options);
    const range = Buffer.from(`${from},${from + count - 1}`);
    const request = { repository: place.repository, revision: Buffer.from(id), path: parameters.path, range };
    if ((await blobAt(place, { revision: id, path: parameters.path }, options)) === undefined)
      throw new Problem('not-found', 404, 'There is no such file.');
    const lines = [];
    const blamed = blameLines(place.connection.commit.rawBlame(request, options), MAX_BLAME_BYTES);
    for await (const { author, commit, number, subject, text: line, timeMs } of blamed)
      lines.push({
        ...{ line: number, commit, author, date: new Date(timeMs).toISOString(), subject },
        text: line.toString(),
      });
    return { json: { revision: id, lines } };
  },
});

const ARCHIVES = {
  zip: { format: Format.ZIP, type: 'application/zip' },
  tar: { format: Format.TAR, type: 'application/x-tar' },
  'tar.gz': { format: Format.TAR_GZ, type: 'application/gzip' },
} as const;

export const readArchive = operation({
  id: 'readArchive',
  method: 'GET',
  path: '/repositories/{repository}/archive',
  summary: 'Download the files of a revision in an archive',
  right: 'read',
  query: {
    ...AT,
    format: Type.Optional(oneOf(['zip', 'tar', 'tar.gz'], 'Default tar.gz.')),
    path: Type.Optional(pathBytes('Only this directory.')),
    lfs: Type.Optional(LFS_QUERY),
  },
  answer: { kind: 'bytes', type: 'application/gzip' },
  example: { query: { revision: 'main', format: 'zip' } },
  serve: async ({ isHead, options, path: at, place, query, repository }) => {
    const { format = 'tar.gz', path = Buffer.alloc(0) } = query;
    const id = await commitId(repository, query.revision, options);
    const name = (at.split('/').at(-1) ?? '').replace(/\.git$/, '').replaceAll(/[^\w.-]+/g, '-');
    const kind = ARCHIVES[format];
    const { timeoutMs: _, ...untimed } = options;
    const request = {
      ...{ repository: place.repository, commitId: id, prefix: name, format: kind.format, path },
      includeLfsBlobs: query.lfs === 'resolve',
    };
    const stream = await openArchive(place.connection, request, untimed);
    if (isHead) stream.destroy();
    const disposition = `attachment; filename="${name}.${format}"`;
    return {
      status: 200,
      headers: { 'Content-Type': kind.type, 'Content-Disposition': disposition },
      stream,
    };
  },
});
