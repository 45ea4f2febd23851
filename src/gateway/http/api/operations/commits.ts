import { type Static, Type } from 'typebox';
import type { CallOptions } from '#client/call/call-types';
import { literalPattern } from '#client/content/literal-pattern';
import type { Repository } from '#client/repository/index';
import type { FileAction } from '#client/split/commit-files';
import { operation } from '../operation.ts';
import { Problem } from '../problems.ts';
import { CommitAnswer, commitAnswer, NewCommitAnswer } from '../schemas/answers.ts';
import { isGitPath } from '../schemas/formats.ts';
import {
  branch,
  closed,
  LIST_QUERY,
  objectId,
  oneOf,
  pathBytes,
  pathText,
  revision,
  text,
} from '../schemas/parts.ts';
import { commitId, expectedValue, requireCommit, unlessMoved } from './expected.ts';

const MAX_ACTIONS = 1000;

const Content = {
  content: Type.String({ description: 'The new content of the file.' }),
  encoding: Type.Optional(oneOf(['utf-8', 'base64'], 'Default utf-8.')),
};
const Path = { path: pathText('Path of the file, from the top of the repository.') };

const Action = Type.Union([
  closed({ action: Type.Literal('create'), ...Path, ...Content, executable: Type.Optional(Type.Boolean()) }),
  closed({ action: Type.Literal('update'), ...Path, ...Content }),
  closed({ action: Type.Literal('delete'), ...Path }),
  closed({
    action: Type.Literal('move'),
    ...Path,
    previousPath: pathText('Path of the file before.'),
    content: Type.Optional(Content.content),
    encoding: Content.encoding,
  }),
  closed({ action: Type.Literal('chmod'), ...Path, executable: Type.Boolean() }),
]);

export const Author = closed({
  name: text('Name of the person.', 1024),
  email: text('Address of the person.', 1024),
});

const CommitBody = closed({
  branch: branch('Branch that gets the commit; it is created if it does not exist'),
  message: text('Message of the commit.'),
  files: Type.Optional(
    Type.Record(Type.String({ minLength: 1, maxLength: 4096 }), Type.Union([Type.String(), Type.Null()]), {
      maxProperties: MAX_ACTIONS,
      description: 'Texts by path: a file is created or replaced; null removes it.',
    }),
  ),
  actions: Type.Optional(
    Type.Array(Action, {
      maxItems: MAX_ACTIONS,
      description: 'Single changes, made after those of `files`.',
    }),
  ),
  author: Type.Optional(Author),
  startBranch: Type.Optional(branch('Branch at which a new branch begins')),
  startCommit: Type.Optional(objectId('Commit at which a new branch begins.')),
  expected: Type.Optional(objectId('The commit at which the branch must be; otherwise 409.')),
});

export const readCommit = operation({
  id: 'readCommit',
  method: 'GET',
  path: '/repositories/{repository}/commits/{revision}',
  summary: 'Read a commit',
  right: 'read',
  parameters: { revision: revision('Branch, tag, id or other revision.') },
  answer: { kind: 'json', status: 200, schema: CommitAnswer },
  example: { parameters: { revision: 'main' } },
  serve: async ({ options, parameters, repository }) => {
    const commit = await requireCommit(repository, parameters.revision, options);
    return { json: commitAnswer(commit), headers: { ETag: `"${commit.id}"` } };
  },
});

export const createCommit = operation({
  id: 'createCommit',
  tool: 'commit_files',
  method: 'POST',
  path: '/repositories/{repository}/commits',
  summary: 'Change files in one commit, without a clone',
  description:
    'The commit is made as a push would be: with the same hooks, rules and events. With `expected`, or ' +
    '`If-Match`, it is refused with 409 and the current commit if the branch has moved.',
  right: 'write',
  body: CommitBody,
  answer: { kind: 'json', status: 201, schema: NewCommitAnswer },
  example: { body: { branch: 'main', message: 'Add a greeting', files: { 'hello.txt': 'Hello\n' } } },
  serve: async ({ body, headers, options, path, place, repository }) => {
    const { actions = [], author, files = {}, message, startBranch, startCommit } = body;
    if (startBranch !== undefined && startCommit !== undefined)
      throw new Problem('invalid-request', 400, 'Give `startBranch` or `startCommit`, not both.');
    const expectedOid = expectedValue(body.expected, headers);
    for (const each of Object.keys(files))
      if (!isGitPath(each)) throw new Problem('invalid-request', 400, `files: ${each} is no path of a file.`);
    const start = startBranch === undefined ? startCommit : `refs/heads/${startBranch}`;
    if (start !== undefined) await requireCommit(repository, start, options);
    const change = repository.commit({
      ...options,
      ...{ branch: body.branch, message, files, actions: actions.map(fileAction) },
      ...(author && { author }),
      ...(startBranch !== undefined && { start: { branch: startBranch } }),
      ...(startCommit !== undefined && { start: { oid: startCommit } }),
      ...(expectedOid !== undefined && { expectedOid }),
    });
    const reference = `refs/heads/${body.branch}`;
    const moved = { place, reference, expected: expectedOid, options };
    return created(await unlessMoved(change, moved), path);
  },
});

/** Returns the answer of a new commit, with its address. */
export function created(id: string, path: string) {
  const Location = `/-/api/v1/repositories/${encodeURIComponent(path)}/commits/${id}`;
  return { json: { id }, status: 201, headers: { Location } } as const;
}

function fileAction(action: Static<typeof Action>): FileAction {
  const { path } = action;
  switch (action.action) {
    case 'create':
      return { type: 'create', path, content: contentOf(action), executable: action.executable ?? false };
    case 'update':
      return { type: 'update', path, content: contentOf(action) };
    case 'delete':
      return { type: 'delete', path };
    case 'move': {
      const { content, encoding, previousPath } = action;
      const moved = { type: 'move', path, previousPath } as const;
      return content === undefined
        ? moved
        : { ...moved, content: contentOf({ content, ...(encoding && { encoding }) }) };
    }
    case 'chmod':
      return { type: 'chmod', path, executable: action.executable };
  }
}

const BASE64 = /^[A-Za-z0-9+/]*={0,2}$/;

function contentOf({ content, encoding }: { content: string; encoding?: 'utf-8' | 'base64' }): Buffer {
  if (encoding !== 'base64') return Buffer.from(content);
  if (!BASE64.test(content)) throw new Problem('invalid-request', 400, 'A content is not valid base64.');
  return Buffer.from(content, 'base64');
}

export const listCommits = operation({
  id: 'listCommits',
  tool: 'list_commits',
  method: 'GET',
  path: '/repositories/{repository}/commits',
  summary: 'List the commits of a revision or range, newest first',
  right: 'read',
  query: {
    revision: Type.Optional(revision('Revision, or range as main..topic. Default: HEAD.')),
    path: Type.Optional(pathBytes('Only commits that change this file or directory.')),
    author: Type.Optional(text('Only commits by an author whose name or address contains this.', 1024)),
    firstParent: Type.Optional(Type.Boolean({ description: 'Follows only the first parent of merges.' })),
    ...LIST_QUERY,
  },
  answer: { kind: 'list', schema: CommitAnswer },
  example: { query: { revision: 'main', path: 'hello.txt' } },
  serve: async ({ options, query, repository }) => {
    const { author, firstParent, path } = query;
    const asked = query.revision ?? 'HEAD';
    const selected = {
      ...options,
      ...(path !== undefined && { paths: [path] }),
      ...(author !== undefined && { author: literalPattern(author) }),
      ...(firstParent !== undefined && { firstParent }),
    };
    return {
      all: async function* () {
        // A stream may take longer than a call of a page.
        const { timeoutMs: _, ...untimed } = selected;
        const start = await startOf(repository, asked, options);
        for await (const commit of repository.log(start, untimed)) yield commitAnswer(commit);
      },
      page: async (after, limit) => {
        const read = (start: string, skip: number) =>
          Array.fromAsync(repository.log(start, { ...selected, skip, limit: limit + 1 }));
        const isWhole = path === undefined && author === undefined;
        // The first commit of all is the one at the name, whose id needs no call.
        const first =
          after === undefined && isWhole && NAME.test(asked) ? await read(asked, 0).catch(none) : [];
        const { skip, start } =
          after === undefined
            ? { start: first[0]?.id ?? (await startOf(repository, asked, options)), skip: 0 }
            : parseCursor(after);
        const found = first.length > 0 ? first : await read(start, skip);
        const items = found.slice(0, limit).map(commitAnswer);
        return { items, next: found.length > limit ? `${skip + limit} ${start}` : undefined };
      },
    };
  },
});

/** A name or id without operators, and no range. */
const NAME = /^[\w/-]+(?:\.[\w/-]+)*$/;
/** The start says what is wrong. */
const none = (): [] => [];
const RANGE = /^([^.](?:[^.]|\.(?!\.))*)(\.{2,3})([^.].*)$/;

/** Returns the ids of a revision or range: later pages begin there, even if a branch has moved. */
async function startOf(repository: Repository, asked: string, options: CallOptions): Promise<string> {
  const [, from, dots, to] = RANGE.exec(asked) ?? [];
  if (from === undefined || to === undefined) return await commitId(repository, asked, options);
  return `${await commitId(repository, from, options)}${dots}${await commitId(repository, to, options)}`;
}

const CURSOR = /^(\d{1,9}) ([0-9a-f.]{40,140})$/;

function parseCursor(text: string): { start: string; skip: number } {
  const [, skip, start] = CURSOR.exec(text) ?? [];
  if (skip === undefined || start === undefined)
    throw new Problem('invalid-request', 400, 'The cursor is not one of this list.');
  return { start, skip: Number(skip) };
}
