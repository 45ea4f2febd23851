import { isUtf8 } from 'node:buffer';
import { type Static, Type } from 'typebox';
import { requireAccepted } from '#client/split/confirm-merge';
import { operation } from '../operation.ts';
import { Problem } from '../problems.ts';
import { closed, LIST_QUERY, objectId, pathBytes, revision, text } from '../schemas/parts.ts';
import {
  expectedValue,
  type FoundReference,
  movedProblem,
  readReference,
  requireCommit,
  unlessMoved,
} from './expected.ts';
import { formatPosition, parsePosition } from './list-position.ts';

const HEADS = 'refs/heads/';
const TAGS = 'refs/tags/';
const NEED_BOTH = 'The change must name the expected value: `expected`, or If-Match.';

const ReferenceAnswer = Type.Object(
  {
    name: Type.String({ description: 'Full name: refs/heads/main.' }),
    nameBase64: Type.Optional(Type.String({ description: 'The bytes of a name that is not UTF-8.' })),
    target: objectId('Object to which it points.'),
    peeled: Type.Optional(objectId('Object at which an annotated tag ends.')),
  },
  { title: 'Reference' },
);
const NAME = { name: pathBytes('Full name: refs/heads/main. Its slashes may be written as they are.') };
const OneReference = { kind: 'json', status: 200, schema: ReferenceAnswer } as const;

function referenceAnswer({ name, peeled, target }: FoundReference): Static<typeof ReferenceAnswer> {
  return {
    name: name.toString(),
    ...(!isUtf8(name) && { nameBase64: name.toString('base64') }),
    target,
    ...(peeled !== undefined && { peeled }),
  };
}

export const listReferences = operation({
  id: 'listReferences',
  tool: 'list_references',
  method: 'GET',
  path: '/repositories/{repository}/references',
  summary: 'List branches, tags and other references by name',
  right: 'read',
  query: {
    prefix: Type.Optional(
      Type.String({
        pattern: '^refs/[^\\x00-\\x20*?\\[\\\\~^:\\x7f]*$',
        maxLength: 1024,
        description: 'Beginning of the names, up to a slash: refs/heads/. Default: all.',
      }),
    ),
    ...LIST_QUERY,
  },
  answer: { kind: 'list', schema: ReferenceAnswer },
  example: { query: { prefix: 'refs/heads/' } },
  serve: async ({ connection, options, query, repository }) => ({
    page: async (after, limit) => {
      const position = parsePosition(after);
      const end = position.skip + limit;
      const request = {
        repository: repository.message,
        patterns: [Buffer.from(query.prefix ?? 'refs/')],
        peelTags: true,
        paginationParams: { limit: end + 1, pageToken: position.token },
      };
      const shown: FoundReference[] = [];
      let count = 0;
      for await (const { references } of connection.ref.listRefs(request, options))
        for (const { name, peeledTarget, target } of references)
          if (++count > position.skip && count <= end)
            shown.push({
              name: Buffer.from(name),
              target,
              peeled: peeledTarget === '' ? undefined : peeledTarget,
            });
      const last = shown.at(-1)?.name ?? Buffer.alloc(0);
      const token = isUtf8(last) ? last.toString() : undefined;
      const next = count > end ? formatPosition(position, shown.length, token) : undefined;
      return { items: shown.map(referenceAnswer), next };
    },
  }),
});

export const readOneReference = operation({
  id: 'readReference',
  method: 'GET',
  path: '/repositories/{repository}/references/{name}',
  summary: 'Read a reference',
  right: 'read',
  parameters: NAME,
  answer: OneReference,
  example: { parameters: { name: 'refs/heads/main' } },
  serve: async ({ options, parameters, place }) =>
    found(await readReference(place, parameters.name, options)),
});

function found(reference: FoundReference | undefined) {
  if (reference === undefined) throw new Problem('not-found', 404, 'There is no such reference.');
  return { json: referenceAnswer(reference), headers: { ETag: `"${reference.target}"` } };
}

export const createReference = operation({
  id: 'createReference',
  tool: 'create_reference',
  method: 'POST',
  path: '/repositories/{repository}/references',
  summary: 'Create a branch or tag',
  right: 'write',
  body: closed({
    name: text('Full name: refs/heads/topic or refs/tags/v1.', 1024),
    target: revision('Revision at which it begins.'),
    message: Type.Optional(text('Message of an annotated tag.')),
  }),
  answer: { ...OneReference, status: 201 },
  example: { body: { name: 'refs/heads/topic', target: 'main' } },
  serve: async ({ body: { message, name, target }, options, place, repository }) => {
    const kind = kindOf(Buffer.from(name));
    if (kind.is === 'branch' && message !== undefined)
      throw new Problem('invalid-request', 400, 'Only a tag has a message.');
    const start = await requireCommit(repository, target, options);
    if (kind.is === 'branch') await repository.createBranch(kind.name, start.id, options);
    else
      await repository.createTag(kind.name, start.id, {
        ...options,
        ...(message !== undefined && { message }),
      });
    const { headers, json } = found(await readReference(place, Buffer.from(name), options));
    return { json, headers, status: 201 };
  },
});

/** Returns the short name of a branch or tag, as bytes. @throws {Problem} for other references. */
function kindOf(name: Buffer): { readonly is: 'branch' | 'tag'; readonly name: Buffer } {
  const full = name.toString('latin1');
  for (const [prefix, is] of [
    [HEADS, 'branch'],
    [TAGS, 'tag'],
  ] as const)
    if (full.startsWith(prefix) && full.length > prefix.length)
      return { is, name: name.subarray(prefix.length) };
  throw new Problem(
    'invalid-request',
    400,
    'Only branches (refs/heads/) and tags (refs/tags/) can be changed.',
  );
}

export const moveReference = operation({
  id: 'moveReference',
  method: 'PATCH',
  path: '/repositories/{repository}/references/{name}',
  summary: 'Move a branch to another commit',
  description: 'The expected value is required: with another one, the answer is 409 with the value of now.',
  right: 'write',
  parameters: NAME,
  body: closed({
    target: revision('Revision to which it moves.'),
    expected: Type.Optional(objectId('Its value of now. It may be given as If-Match instead.')),
  }),
  answer: OneReference,
  example: {
    parameters: { name: 'refs/heads/topic' },
    body: { target: 'main', expected: '$TOPIC' },
  },
  serve: async ({ body, headers, options, parameters, place, repository }) => {
    const { is, name } = kindOf(parameters.name);
    if (is === 'tag') throw new Problem('invalid-request', 400, 'A tag does not move: remove and create it.');
    const expected = expectedValue(body.expected, headers);
    if (expected === undefined) throw new Problem('precondition-required', 428, NEED_BOTH);
    const target = await requireCommit(repository, body.target, options);
    const [newrev, oldrev] = [Buffer.from(target.id), Buffer.from(expected)];
    const { connection, ...at } = place;
    const change = connection.operation.userUpdateBranch(
      { ...at, branchName: name, newrev, oldrev },
      options,
    );
    const reference = parameters.name.toString();
    const { preReceiveError } = await unlessMoved(change, { place, reference, expected, options });
    requireAccepted(preReceiveError);
    return found(await readReference(place, parameters.name, options));
  },
});

export const removeReference = operation({
  id: 'removeReference',
  method: 'DELETE',
  path: '/repositories/{repository}/references/{name}',
  summary: 'Remove a branch or tag',
  description: 'The default branch is not removed.',
  right: 'write',
  parameters: NAME,
  query: { expected: Type.Optional(objectId('Its value of now. It may be given as If-Match instead.')) },
  answer: { kind: 'nothing' },
  example: { parameters: { name: 'refs/heads/topic' } },
  serve: async ({ headers, options, parameters, place, query, repository }) => {
    const { is, name } = kindOf(parameters.name);
    const { connection, repository: at, user } = place;
    const expected = expectedValue(query.expected, headers);
    const current = await readReference(place, parameters.name, options);
    const reference = parameters.name.toString();
    if (expected !== undefined && current?.target !== expected) throw movedProblem(reference, current);
    if (current === undefined) throw new Problem('not-found', 404, 'There is no such reference.');
    const fields = { repository: at, user, expectedOldOid: expected ?? '' };
    const moved = { place, reference, expected, options };
    if (is === 'tag') {
      const change = connection.operation.userDeleteTag({ ...fields, tagName: name }, options);
      requireAccepted((await unlessMoved(change, moved)).preReceiveError);
    } else {
      if ((await repository.defaultBranch(options)) === name.toString())
        throw new Problem('failed-precondition', 422, 'This is the default branch.');
      await unlessMoved(
        connection.operation.userDeleteBranch({ ...fields, branchName: name }, options),
        moved,
      );
    }
    return { status: 204 };
  },
});
