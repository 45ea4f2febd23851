import { codeOf } from '#base/gitaly-error';
import { openArchive } from '#client/content/open-content';
import { type ConsolePage, notFound, problemPage } from '#console/page';
import type { PageAnswer } from '#gateway/http/pages/page-source';
import { GetArchiveRequest_Format as Format } from '#wire/gen/repository_pb';
import { nameOf } from '../repository-frame.ts';
import type { RepositoryVisit } from '../repository-visit.ts';
import { baseName } from './file-kind.ts';

/** Kinds of archives by the parameter `as`. */
export const ARCHIVE_FORMATS = ['zip', 'tar.gz'] as const;

const KINDS: Readonly<Record<string, { readonly format: Format; readonly type: string }>> = {
  zip: { format: Format.ZIP, type: 'application/zip' },
  'tar.gz': { format: Format.TAR_GZ, type: 'application/gzip' },
};
const UNSAFE_CHARACTERS = /[^\w.-]+/g;

/** Sends an archive of a revision, or of one of its directories. */
export async function archiveFile(visit: RepositoryVisit): Promise<ConsolePage | PageAnswer> {
  const { commit, connection, method, path, query, repository, rest, revision, signal } = visit;
  const suffix = query.get('as') ?? '';
  const kind = Object.hasOwn(KINDS, suffix) ? KINDS[suffix] : undefined;
  if (kind === undefined) return notFound();
  const parts = [baseName(Buffer.from(nameOf(path))), revision.replace(/^refs\/(?:heads|tags)\//, '')];
  const name = [...parts, ...(rest.length === 0 ? [] : [baseName(rest)])]
    .join('-')
    .replaceAll(UNSAFE_CHARACTERS, '-');
  const request = {
    repository: repository.message,
    commitId: commit.id,
    prefix: name,
    format: kind.format,
    path: rest,
    includeLfsBlobs: true,
  };
  // A slow client may take longer than the calls of a page.
  const content = await openArchive(connection, request, { signal }).catch((error: unknown) => {
    // git fails, or the directory is empty
    if (!['FAILED_PRECONDITION', 'INTERNAL'].includes(codeOf(error) ?? '')) throw error;
    return undefined;
  });
  if (content === undefined)
    return problemPage(422, 'No archive', 'There is nothing to archive, or git cannot read it.');
  const headers = {
    'Content-Type': kind.type,
    'Content-Disposition': `attachment; filename="${name}.${suffix}"`,
  };
  if (method !== 'HEAD') return { status: 200, headers, body: '', stream: content };
  content.destroy();
  return { status: 200, headers, body: '' };
}
