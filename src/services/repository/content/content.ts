import { invalidArgument, wrap } from '#base/gitaly-error';
import { applyAttributes } from '#domain/attributes/apply-attributes';
import { defaultAttributes } from '#domain/attributes/default-attributes';
import { exportHistory } from '#domain/history/export-history';
import { findMergeBase as findBase } from '#domain/history/find-merge-base';
import { readConfigFile } from '#domain/settings/read-config-file';
import { requireRevision } from '#services/convert/request/revision';
import { takeBytes } from '#services/convert/request/take-bytes';
import type { FastExportRequest } from '#wire/gen/repository_pb';
import type { Handlers, RepositoryDependencies } from '../dependencies.ts';

/** Size of a message's data. @see Go: io.Copy */
const PIECE_BYTES = 32 * 1024;

/** Streams the config file of a repository. */
export const getConfig: Handlers['getConfig'] = async function* (request, _context, deps) {
  const repository = deps.storages.open(request.repository);
  for await (const data of readConfigFile(repository, PIECE_BYTES)) yield { data };
};

/** Returns the license of a project, from the files in the top directory of HEAD. */
export const findLicense: Handlers['findLicense'] = async (request, context, deps) => {
  const repository = deps.storages.open(request.repository);
  const found = await deps.licenses.get(repository, context.signal);
  if (found === undefined) return {};
  const { shortName, name, url, path, nickname } = found;
  return {
    licenseShortName: shortName,
    licenseName: name,
    licenseUrl: url,
    licensePath: path,
    licenseNickname: nickname,
  };
};

/**
 * Returns the best common ancestor of revisions; an empty id if there is none or a revision has no
 * commit.
 */
export const findMergeBase: Handlers['findMergeBase'] = async (request, context, deps) => {
  const repository = deps.storages.open(request.repository);
  if (request.revisions.length < 2) throw invalidArgument('at least 2 revisions are required');

  try {
    const base = await findBase(
      repository,
      request.revisions.map((revision) => Buffer.from(revision)),
      context.signal,
    );
    return { base: base ?? '' };
  } catch (error) {
    throw wrap(error, 'cmd');
  }
};

/** Streams the whole history in the format of `git fast-import`. */
export const fastExport: Handlers['fastExport'] = async function* (request, context, deps) {
  if (request.repository === undefined) throw invalidArgument('repository is not set');
  const repository = open(request, deps);
  const bytes = exportHistory(repository, context);
  for await (const data of takeBytes(bytes, Number.POSITIVE_INFINITY)) yield { data };
};

function open({ repository }: FastExportRequest, deps: RepositoryDependencies) {
  try {
    return deps.storages.open(repository);
  } catch (error) {
    throw wrap(error, 'cmd start failed: get repo path');
  }
}

const PEEL = Buffer.from('^{commit}');

/** Makes `.gitattributes` of a revision apply to a repository of 15.0 and 16.7. */
export const applyGitattributes: Handlers['applyGitattributes'] = async (request, context, deps) => {
  const repository = deps.storages.open(request.repository);
  const revision = requireRevision(request.revision, { prefix: 'revision: ' });
  const { signal } = context;
  const commit = await repository.objects.info(Buffer.concat([revision, PEEL]), { signal });
  if (commit === undefined) throw invalidArgument('revision does not exist');

  await applyAttributes(repository, commit.oid, { vote: deps.voteOf(context), signal });
  return {};
};

/** Streams `.gitattributes` of HEAD; one empty message if there is none. */
export const getInfoAttributes: Handlers['getInfoAttributes'] = async function* (request, context, deps) {
  const repository = deps.storages.open(request.repository);
  const file = await defaultAttributes(repository, context.signal);
  let isEmpty = true;
  for await (const attributes of takeBytes(file?.stream ?? [], file?.size ?? 0)) {
    isEmpty = false;
    yield { attributes };
  }
  if (isEmpty) yield {};
};
