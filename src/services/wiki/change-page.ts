import { create } from '@bufbuild/protobuf';
import { GitalyError, invalidArgument, messageOf, withCode } from '#base/gitaly-error';
import { DisallowedCharactersError } from '#domain/commit/write-commit';
import { UpdateFailedError } from '#domain/ref-update/refusals';
import { commitWikiPage, type WikiPageChange } from '#domain/wiki/change-wiki';
import { DuplicatePageError } from '#domain/wiki/page-file';
import type { HandlerContext } from '#rpc/server/handler';
import { allBytesOf, openRequests } from '#services/convert/request/first-request';
import { updateContextOf } from '#services/convert/request/update-context';
import type { Repository } from '#storage/repository';
import { UserSchema } from '#wire/gen/shared_pb';
import type { WikiCommitDetails } from '#wire/gen/wiki_pb';
import type { Handlers, WikiDependencies } from './dependencies.ts';

/** Commits a new page to the default branch. A name in use is reported in the response. */
export const wikiWritePage: Handlers['wikiWritePage'] = async (requests, context, deps) => {
  const opened = await openRequests(requests);
  const { name: title, format, repository: target } = opened.first;
  const fields = { Name: title, Format: format };
  const details = requireFields('WikiWritePage', fields, opened.first.commitDetails);
  const repository = deps.storages.open(target);

  const content = allBytesOf(opened, (message) => message.content);
  const page = { title, format, content, details, pagePath: undefined };
  return { duplicateError: await commitChange(repository, page, context, deps) };
};

/**
 * Commits a new text of a page, and moves the page to its title. A title in use is reported in the
 * response.
 */
export const wikiUpdatePage: Handlers['wikiUpdatePage'] = async (requests, context, deps) => {
  const opened = await openRequests(requests);
  const { pagePath, title, format, repository: target } = opened.first;
  const fields = { 'Page Path': pagePath, Title: title, Format: format };
  const details = requireFields('WikiUpdatePage', fields, opened.first.commitDetails);
  const repository = deps.storages.open(target);

  const content = allBytesOf(opened, (message) => message.content);
  const page = { title, format, content, details, pagePath };
  return { error: await commitChange(repository, page, context, deps) };
};

/**
 * Checks the fields of a change, and returns the details of its commit.
 *
 * @param fields by their names in error texts, in the order of the checks.
 * @throws {GitalyError} INVALID_ARGUMENT `<rpc>: empty <name>`.
 */
function requireFields(
  rpc: string,
  fields: Readonly<Record<string, Uint8Array | string>>,
  details: WikiCommitDetails | undefined,
): WikiCommitDetails {
  requireFilled(rpc, fields);
  if (details === undefined) throw invalidArgument(`${rpc}: empty CommitDetails`);
  const { name, email, message } = details;
  requireFilled(rpc, {
    'CommitDetails.Name': name,
    'CommitDetails.Email': email,
    'CommitDetails.Message': message,
  });
  return details;
}

function requireFilled(rpc: string, fields: Readonly<Record<string, Uint8Array | string>>): void {
  for (const [name, value] of Object.entries(fields))
    if (value.length === 0) throw invalidArgument(`${rpc}: empty ${name}`);
}

interface RequestedChange extends Pick<WikiPageChange, 'title' | 'format' | 'content' | 'pagePath'> {
  readonly details: WikiCommitDetails;
}

/** Commits a page. @returns the text for a title that is in use; empty if the page was committed. */
async function commitChange(
  repository: Repository,
  { details, ...page }: RequestedChange,
  context: HandlerContext,
  { hooks }: WikiDependencies,
): Promise<Uint8Array> {
  const { name, email, message, userId, userName } = details;
  const user = create(UserSchema, { glId: `user-${userId}`, glUsername: Buffer.from(userName).toString() });
  const change = { ...page, message, person: { name, email, timezone: '' } };
  try {
    await commitWikiPage(repository, change, updateContextOf(user, context, hooks));
    return new Uint8Array(0);
  } catch (error) {
    if (error instanceof DuplicatePageError) return error.text;
    throw refused(error);
  }
}

function refused(error: unknown): unknown {
  if (error instanceof DisallowedCharactersError) return withCode(error, 'INVALID_ARGUMENT');
  if (!(error instanceof UpdateFailedError)) return error;
  const { refusal, cause } = error;
  if (refusal?.by === 'git') return withCode(cause, 'FAILED_PRECONDITION');
  if (refusal === undefined) return cause;
  return new GitalyError('PERMISSION_DENIED', `Hook failed: ${messageOf(refusal.error)}`, { cause });
}
