import { Type } from 'typebox';
import { codeOf } from '#base/gitaly-error';
import type { CallOptions } from '#client/call/call-types';
import { conflictFiles } from '#client/content/collect/conflict-files';
import { gitalyServers } from '#client/gitaly-servers';
import type { FileDiff } from '#client/repository/index';
import type { Place } from '#client/repository/place';
import { applyPatch } from '#client/split/apply-patch';
import { confirmRebase } from '#client/split/confirm-merge';
import { operation } from '../operation.ts';
import { Problem } from '../problems.ts';
import { NewCommitAnswer, PathAnswer, pathAnswer } from '../schemas/answers.ts';
import { branch, closed, objectId, oneOf, revision, text } from '../schemas/parts.ts';
import { created } from './commits.ts';
import { commitId, expectedValue, unlessMoved } from './expected.ts';

const Created = { kind: 'json', status: 201, schema: NewCommitAnswer } as const;
const expected = Type.Optional(objectId('The commit at which the branch must be; otherwise 409.'));
const MAX_FILES = 300;

const FileDiffAnswer = Type.Object({
  ...PathAnswer,
  previousPath: Type.Optional(Type.String({ description: 'Path before, of a renamed file.' })),
  status: oneOf(['added', 'deleted', 'renamed', 'modified'], 'Kind of the change.'),
  oldId: Type.Optional(objectId('Blob before.')),
  newId: Type.Optional(objectId('Blob after.')),
  isBinary: Type.Boolean(),
  linesAdded: Type.Integer(),
  linesRemoved: Type.Integer(),
  patch: Type.String({ description: 'The hunks; empty for a binary file.' }),
});

export const compare = operation({
  id: 'compareRevisions',
  tool: 'compare',
  method: 'GET',
  path: '/repositories/{repository}/compare',
  summary: 'Compare two revisions: commits ahead and behind, and changed files',
  description: 'Files are compared with the merge base, as in a pull request; with `direct`, with `from`.',
  right: 'read',
  query: {
    from: revision('Revision to compare with.'),
    to: revision('Revision with the changes.'),
    direct: Type.Optional(Type.Boolean({ description: 'Compares with `from` itself.' })),
  },
  answer: {
    kind: 'json',
    status: 200,
    schema: Type.Object({
      from: objectId('Commit of `from`.'),
      to: objectId('Commit of `to`.'),
      mergeBase: Type.Union([objectId('Common ancestor.'), Type.Null()]),
      ahead: Type.Integer({ description: 'Commits that only `to` has.' }),
      behind: Type.Integer({ description: 'Commits that only `from` has.' }),
      files: Type.Array(FileDiffAnswer),
      isCut: Type.Boolean({
        description: `True if there are more files, or patches than 4 MiB (for tools 256 KiB).`,
      }),
    }),
  },
  example: { query: { from: 'main', to: 'topic' } },
  serve: async ({ maxPatchBytes, options, place, query, repository }) => {
    const [from, to] = [
      await commitId(repository, query.from, options),
      await commitId(repository, query.to, options),
    ];
    const { connection, repository: at } = place;
    const base = await mergeBaseOf(place, [from, to], options);
    const range = { repository: at, from: Buffer.from(from), to: Buffer.from(to), maxCount: 100_000 };
    const { leftCount, rightCount } = await connection.commit.countDivergingCommits(range, options);
    const files = [];
    let isCut = false;
    let bytes = 0;
    for await (const file of repository.diff(
      query.direct === true || base === '' ? from : base,
      to,
      options,
    )) {
      bytes += file.patchBytes.length;
      isCut = files.length === MAX_FILES || bytes > maxPatchBytes;
      if (isCut) break;
      files.push(fileAnswer(file));
    }
    const mergeBase = base === '' ? null : base;
    return { json: { from, to, mergeBase, ahead: rightCount, behind: leftCount, files, isCut } };
  },
});

/** Returns the best common ancestor of commits; `''` if their histories are unrelated. */
async function mergeBaseOf(
  { connection, repository }: Place,
  commits: readonly string[],
  options: CallOptions,
): Promise<string> {
  const request = { repository, revisions: commits.map((id) => Buffer.from(id)) };
  return (await connection.repository.findMergeBase(request, options)).base;
}

const NO_ID = /^0+$/;

function fileAnswer(file: FileDiff) {
  const { isBinary, linesAdded, linesRemoved, newOid, oldOid, patch, status } = file;
  return {
    ...pathAnswer(file.pathBytes),
    ...(status === 'renamed' && { previousPath: file.previousPath }),
    status,
    ...(!NO_ID.test(oldOid) && { oldId: oldOid }),
    ...(!NO_ID.test(newOid) && { newId: newOid }),
    ...{ isBinary, linesAdded, linesRemoved, patch },
  };
}

export const checkMerge = operation({
  id: 'checkMerge',
  tool: 'check_merge',
  method: 'GET',
  path: '/repositories/{repository}/merge-check',
  summary: 'Check whether a merge conflicts; nothing is changed',
  right: 'read',
  query: { source: revision('Revision to merge.'), branch: branch('Branch that would get the merge') },
  answer: {
    kind: 'json',
    status: 200,
    schema: Type.Object({
      result: oneOf(['merged', 'fast-forward', 'clean', 'conflicts'], '`merged`: there is nothing to merge.'),
      source: objectId('Commit of the source.'),
      target: objectId('Commit of the branch.'),
      conflicts: Type.Array(Type.String({ description: 'Path of a file.' })),
    }),
  },
  example: { query: { source: 'topic', branch: 'main' } },
  serve: async ({ options, place, query, repository }) => {
    const source = await commitId(repository, query.source, options);
    const target = await commitId(repository, `refs/heads/${query.branch}`, options);
    const base = await mergeBaseOf(place, [source, target], options);
    const answer = (result: string, conflicts: string[] = []) => ({
      json: { result, source, target, conflicts },
    });
    if (base === source) return answer('merged');
    if (base === target) return answer('fast-forward');
    const conflicts = await conflictsOf(place, { source, target }, options);
    return answer(conflicts.length === 0 ? 'clean' : 'conflicts', conflicts);
  },
});

async function conflictsOf(
  { connection, repository }: Place,
  { source, target }: { readonly source: string; readonly target: string },
  options: CallOptions,
): Promise<string[]> {
  const request = {
    ...{ repository, ourCommitOid: target, theirCommitOid: source },
    ...{ allowTreeConflicts: true, skipContent: true },
  };
  const paths = new Set<string>();
  for await (const { ancestorPath, ourPath, theirPath } of conflictFiles(
    connection.conflicts.listConflictFiles(request, options),
  )) {
    const path = [ourPath, theirPath, ancestorPath].find(({ length }) => length > 0);
    if (path !== undefined && paths.size < MAX_FILES) paths.add(Buffer.from(path).toString());
  }
  return [...paths];
}

export const merge = operation({
  id: 'merge',
  tool: 'merge',
  method: 'POST',
  path: '/repositories/{repository}/merges',
  summary: 'Merge a revision into a branch',
  description: 'A conflict is answered with 409 and the files; nothing is changed then.',
  right: 'write',
  body: closed({
    source: revision('Revision to merge.'),
    branch: branch('Branch that gets the merge'),
    message: text('Message of the merge.'),
    expected,
  }),
  answer: Created,
  example: { body: { source: 'topic', branch: 'main', message: 'Merge topic' } },
  serve: async ({ body, headers, options, path, place, repository }) => {
    const expectedOid = expectedValue(body.expected, headers);
    const change = repository.merge({
      ...{ ...options, source: body.source, into: body.branch, message: body.message },
      ...(expectedOid !== undefined && { expectedOid }),
    });
    const reference = `refs/heads/${body.branch}`;
    return created(await unlessMoved(change, { place, reference, expected: expectedOid, options }), path);
  },
});

const PICK = closed({
  commit: revision('Revision of the commit.'),
  branch: branch('Branch that gets the new commit'),
  message: text('Message of the new commit.'),
});

export const revert = operation({
  id: 'revertCommit',
  method: 'POST',
  path: '/repositories/{repository}/reverts',
  summary: 'Undo the change of a commit on a branch',
  right: 'write',
  body: PICK,
  answer: Created,
  example: { body: { commit: 'main', branch: 'main', message: 'Undo the last change' } },
  serve: async ({ body, options, path, repository }) => {
    const { branch: onto, commit, message } = body;
    return created(await repository.revert({ ...options, commit, onto, message }), path);
  },
});

export const cherryPick = operation({
  id: 'cherryPickCommit',
  method: 'POST',
  path: '/repositories/{repository}/cherry-picks',
  summary: 'Repeat the change of a commit on a branch',
  right: 'write',
  body: PICK,
  answer: Created,
  example: { body: { commit: 'topic', branch: 'main', message: 'Pick a change' } },
  serve: async ({ body, options, path, repository }) => {
    const { branch: onto, commit, message } = body;
    if ((await repository.findCommit(commit, options))?.parents.length === 0)
      throw new Problem('failed-precondition', 422, 'The commit has no parent to compare it with.');
    return created(await repository.cherryPick({ ...options, commit, onto, message }), path);
  },
});

export const rebase = operation({
  id: 'rebaseBranch',
  method: 'POST',
  path: '/repositories/{repository}/rebases',
  summary: 'Rebase a branch onto another one',
  right: 'write',
  body: closed({
    branch: branch('Branch that is rebased'),
    onto: branch('Branch that gets under it'),
    expected,
  }),
  answer: Created,
  example: { body: { branch: 'topic', onto: 'main' } },
  serve: async ({ body, headers, options, path, place, repository }) => {
    const reference = `refs/heads/${body.branch}`;
    const tip = await commitId(repository, reference, options);
    const onto = await commitId(repository, `refs/heads/${body.onto}`, options);
    // The server could not say why it refuses these: it fails as git does.
    if ((await mergeBaseOf(place, [tip, onto], options)) === '')
      throw new Problem('failed-precondition', 422, 'The branches have no commit in common.');
    const wanted = expectedValue(body.expected, headers);
    const { connection, ...at } = place;
    const header = {
      ...{ ...at, branch: Buffer.from(body.branch), branchSha: wanted ?? tip },
      ...{ remoteRepository: at.repository, remoteBranch: Buffer.from(body.onto) },
    };
    // The server reads the other branch as that of another repository.
    const servers = gitalyServers({ [at.repository.storageName ?? '']: { address: connection.address } });
    const metadata = { ...servers, ...options.metadata };
    const change = confirmRebase(connection, header, { ...options, metadata });
    return created(await unlessMoved(change, { place, reference, expected: wanted, options }), path);
  },
});

export const commitPatch = operation({
  id: 'applyPatch',
  method: 'POST',
  path: '/repositories/{repository}/patches',
  summary: 'Commit mails of git format-patch to a branch',
  right: 'write',
  query: { branch: branch('Branch that gets the commits; it is created if it does not exist'), expected },
  body: 'bytes',
  answer: Created,
  example: { query: { branch: 'main' }, body: '$PATCH' },
  serve: async ({ content, headers, options, path, place, query }) => {
    const { connection, ...at } = place;
    const wanted = expectedValue(query.expected, headers);
    const header = { ...at, targetBranch: Buffer.from(query.branch), expectedOldOid: wanted ?? '' };
    const reference = `refs/heads/${query.branch}`;
    const change = applyPatch(connection, header, content, options).catch(refusePatch);
    const update = await unlessMoved(change, { place, reference, expected: wanted, options });
    if (update === undefined) throw new Problem('failed-precondition', 422, 'The patch made no commit.');
    return created(update.commitId, path);
  },
});

/** git does not say why it cannot read a mail, so the server reports it as its own failure. */
function refusePatch(error: unknown): never {
  if (codeOf(error) !== 'INTERNAL') throw error;
  throw new Problem('failed-precondition', 422, 'The body has no patch that git can apply.', {
    cause: error,
  });
}
