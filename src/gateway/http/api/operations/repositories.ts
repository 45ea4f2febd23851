import { type Static, Type } from 'typebox';
import { GitalyError } from '#base/gitaly-error';
import type { CallOptions } from '#client/call/call-types';
import type { Repository } from '#client/repository/index';
import { operation } from '../operation.ts';
import { positionBehind } from '../repository-list.ts';
import { branch, closed, LIST_QUERY, oneOf, text } from '../schemas/parts.ts';
import { requireCommit } from './expected.ts';
import { formatPosition, parsePosition } from './list-position.ts';

/** Rights that are checked for a page: those of hidden repositories cost a check, too. */
const MAX_CHECKS = 1000;
/**
 * Rights of hidden repositories that the next page checks again. Its position counts from the last
 * visible one, as it must not name a hidden one: this number of them may be removed meanwhile.
 */
const OVERLAP = 100;
const MAX_LIFETIME_SECONDS = 10 * 366 * 24 * 3600;

const RepositoryAnswer = Type.Object(
  {
    path: Type.String({ description: 'Path, as in the address of a clone.' }),
    defaultBranch: Type.Union([Type.String(), Type.Null()], { description: 'Null for an empty repository.' }),
    description: Type.String(),
  },
  { title: 'Repository' },
);
const NewPath = text('Path of the repository, with or without .git.', 1024);
const Lifetime = Type.Integer({
  minimum: 1,
  maximum: MAX_LIFETIME_SECONDS,
  description: 'The server removes the repository after this time.',
});

async function repositoryAnswer(
  path: string,
  repository: Repository,
  options: CallOptions,
): Promise<Static<typeof RepositoryAnswer>> {
  if (!(await repository.exists(options))) throw new GitalyError('NOT_FOUND', 'There is no such repository.');
  const [defaultBranch, description] = [
    await repository.defaultBranch(options),
    await repository.description(options),
  ];
  return { path, defaultBranch: defaultBranch ?? null, description };
}

export const listRepositories = operation({
  id: 'listRepositories',
  tool: 'list_repositories',
  method: 'GET',
  path: '/repositories',
  summary: 'List the repositories that you may read',
  description: 'A page may have fewer items than `limit`, or none, although there is a next one.',
  right: 'none',
  query: {
    prefix: Type.Optional(text('Beginning of the paths.', 1024)),
    ...LIST_QUERY,
  },
  answer: { kind: 'list', schema: Type.Object({ path: Type.String() }) },
  example: { query: { limit: '50' } },
  serve: async ({ options, others, query }) => ({
    page: async (after, limit) => {
      const { prefix = '' } = query;
      const paths = await others.paths(options);
      const items = [];
      let { skip, token } = parsePosition(after);
      let first = positionBehind(paths, token === '' ? prefix.slice(0, -1) : token);
      let at = first + Math.max(0, skip - OVERLAP);
      const end = at + MAX_CHECKS;
      for (; at < Math.min(paths.length, end) && items.length < limit; at++) {
        const path = paths[at] ?? '';
        if (path.startsWith(prefix)) {
          if (!(await others.mayRead(path))) continue;
          items.push({ path });
          [token, first] = [path, at + 1];
        } else if (path > prefix) return { items };
      }
      skip = at - first;
      return { items, next: at < paths.length ? formatPosition({ skip, token }, 0, undefined) : undefined };
    },
  }),
});

export const createRepository = operation({
  id: 'createRepository',
  tool: 'create_repository',
  method: 'POST',
  path: '/repositories',
  summary: 'Create an empty repository',
  right: 'none',
  body: closed({
    path: NewPath,
    defaultBranch: Type.Optional(branch('Default: main')),
    objectFormat: Type.Optional(oneOf(['sha1', 'sha256'], 'Default sha1.')),
    lifetimeSeconds: Type.Optional(Lifetime),
  }),
  answer: { kind: 'json', status: 201, schema: RepositoryAnswer },
  example: { body: { path: 'team/new' } },
  serve: async ({ body: { path: text_, ...fields }, others }) => {
    const { options, path, repository } = await others.toCreate(text_);
    await repository.create({ ...options, ...fields });
    return made(path, repository, options);
  },
});

async function made(path: string, repository: Repository, options: CallOptions) {
  const Location = `/-/api/v1/repositories/${encodeURIComponent(path)}`;
  return {
    json: await repositoryAnswer(path, repository, options),
    status: 201,
    headers: { Location },
  } as const;
}

export const readRepository = operation({
  id: 'readRepository',
  method: 'GET',
  path: '/repositories/{repository}',
  summary: 'Read a repository',
  right: 'read',
  answer: { kind: 'json', status: 200, schema: RepositoryAnswer },
  serve: async ({ options, path, repository }) => ({
    json: await repositoryAnswer(path, repository, options),
  }),
});

export const removeRepository = operation({
  id: 'removeRepository',
  method: 'DELETE',
  path: '/repositories/{repository}',
  summary: 'Remove a repository with all its history',
  right: 'admin',
  answer: { kind: 'nothing' },
  serve: async ({ options, repository }) => {
    await repository.remove(options);
    return { status: 204 };
  },
});

export const renameRepository = operation({
  id: 'renameRepository',
  method: 'POST',
  path: '/repositories/{repository}/rename',
  summary: 'Give a repository another path',
  right: 'admin',
  body: closed({ path: NewPath }),
  answer: { kind: 'json', status: 200, schema: RepositoryAnswer },
  example: { body: { path: 'team/renamed' } },
  serve: async ({ body, connection, options, others, path, repository }) => {
    const to = await others.toCreate(body.path, path);
    const { relativePath = '' } = to.repository.message;
    await connection.repository.renameRepository({ repository: repository.message, relativePath }, options);
    return { json: await repositoryAnswer(to.path, to.repository, options) };
  },
});

export const forkRepository = operation({
  id: 'forkRepository',
  tool: 'fork_repository',
  method: 'POST',
  path: '/repositories/{repository}/forks',
  summary: 'Fork a repository',
  description: 'It borrows its objects: who may read the fork can read all objects of the source.',
  right: 'read',
  body: closed({
    path: NewPath,
    branch: Type.Optional(branch('Only this branch')),
    lifetimeSeconds: Type.Optional(Lifetime),
    rules: Type.Optional(Type.Boolean({ description: 'Copies the rules of the repository. Default: true.' })),
  }),
  answer: { kind: 'json', status: 201, schema: RepositoryAnswer },
  example: { body: { path: 'team/fork', lifetimeSeconds: 86_400 } },
  serve: async ({ body: { path: text_, rules = true, ...fields }, others, repository }) => {
    const { options, path, repository: fork } = await others.toCreate(text_);
    if (fields.branch !== undefined) await requireCommit(repository, `refs/heads/${fields.branch}`, options);
    await repository.fork(fork.message.relativePath ?? '', { ...options, ...fields, rules });
    return made(path, fork, options);
  },
});

export const setLifetime = operation({
  id: 'setLifetime',
  method: 'PUT',
  path: '/repositories/{repository}/lifetime',
  summary: 'Set when the server removes a repository or one of its references',
  right: 'admin',
  body: closed({
    seconds: Type.Union([Lifetime, Type.Null()], { description: 'From now; null: never.' }),
    reference: Type.Optional(text('Full name of a reference. Default: the repository.', 1024)),
  }),
  answer: {
    kind: 'json',
    status: 200,
    schema: Type.Object({ expiresAt: Type.Union([Type.String({ format: 'date-time' }), Type.Null()]) }),
  },
  example: { body: { seconds: 86_400 } },
  serve: async ({ body: { reference, seconds }, options, repository }) => {
    const fields = reference === undefined ? {} : { reference };
    const end = await repository.expire(seconds ?? undefined, { ...options, ...fields });
    return { json: { expiresAt: end?.toISOString() ?? null } };
  },
});
