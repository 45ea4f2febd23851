import { codeOf, invalidArgument, wrap, wrapped } from '#base/gitaly-error';
import { fileAttributes } from '#domain/attributes/file-attributes';
import { calculateChecksum as calculate } from '#domain/checksum/calculate-checksum';
import { checkRepository } from '#domain/consistency/check-repository';
import { fullPath as readFullPath, setFullPath as writeFullPath } from '#domain/settings/full-path';
import { directorySizeBytes } from '#storage/statistics/directory-size';
import { REPOSITORY_SIZE_OPTIONS } from '#storage/statistics/repository-statistics';
import { ObjectFormat } from '#wire/gen/shared_pb';
import type { Handlers } from '../dependencies.ts';

const FORMATS = { sha1: ObjectFormat.SHA1, sha256: ObjectFormat.SHA256 } as const;
const KIBIBYTE = 1024n;

/** Returns a checksum of the references that the nodes of a cluster compare. */
export const calculateChecksum: Handlers['calculateChecksum'] = async (request, context, deps) => {
  const repository = deps.storages.open(request.repository);
  return { checksum: await calculate(repository, { signal: context.signal }) };
};

/** Checks the objects and references of a repository. Problems are a result, not an error. */
export const fsck: Handlers['fsck'] = async (request, context, deps) => {
  const repository = deps.storages.open(request.repository);
  const { repoOnly } = request;
  const problems = await checkRepository(repository, { repoOnly, signal: context.signal });
  return problems === undefined ? {} : { error: problems };
};

/** Returns the path under which GitLab shows a repository. Fails if there is none. */
export const fullPath: Handlers['fullPath'] = async (request, context, deps) => {
  const repository = deps.storages.open(request.repository);
  const path = await readFullPath(repository, context.signal).catch(wrapped('fetch config'));
  return { path: path.toString() };
};

/** Stores the path under which GitLab shows a repository. */
export const setFullPath: Handlers['setFullPath'] = async (request, context, deps) => {
  const repository = deps.storages.open(request.repository);
  if (request.path === '') throw invalidArgument('no path provided');

  const options = { vote: deps.voteOf(context), signal: context.signal };
  await writeFullPath(repository, request.path, options).catch(wrapped('setting config'));
  return {};
};

/** Returns the attributes that `.gitattributes` of a revision give to paths. */
export const getFileAttributes: Handlers['getFileAttributes'] = async (request, context, deps) => {
  const repository = deps.storages.open(request.repository);
  const { paths, attributes: names } = request;
  const revision = Buffer.from(request.revision);
  if (revision.length === 0) throw invalidArgument('revision is required');
  if (paths.length === 0) throw invalidArgument('file paths are required');
  if (names.length === 0) throw invalidArgument('attributes are required');

  try {
    const found = await fileAttributes(repository, { revision, paths, names }, context.signal);
    return { attributeInfos: found.map(({ path, name, value }) => ({ path, attribute: name, value })) };
  } catch (error) {
    throw wrap(error, 'check attr');
  }
};

/** Reports whether any branch points to a commit. */
export const hasLocalBranches: Handlers['hasLocalBranches'] = async (request, context, deps) => {
  const { refs } = deps.storages.open(request.repository);
  return { value: await refs.hasBranches({ signal: context.signal }) };
};

/** Returns the hash of a repository. */
export const objectFormat: Handlers['objectFormat'] = (request, _context, deps) => {
  return { format: FORMATS[deps.storages.open(request.repository).objectFormat] };
};

/**
 * Returns the size of the object directory that the request names, in KiB, rounded down. For a
 * quarantine, only its own size counts.
 */
export const getObjectDirectorySize: Handlers['getObjectDirectorySize'] = async (request, _context, deps) => {
  const directory = deps.storages.objectDirectory(request.repository);
  return { size: (await directorySizeBytes(directory, { sums: deps.storages.directorySums })) / KIBIBYTE };
};

/**
 * Returns the size of a repository's files in KiB, rounded down. Objects of alternates do not
 * count.
 */
export const repositorySize: Handlers['repositorySize'] = async (request, _context, deps) => {
  const repository = deps.storages.open(request.repository);
  const options = { ...REPOSITORY_SIZE_OPTIONS, sums: deps.storages.directorySums };
  return { size: (await directorySizeBytes(repository.path, options)) / KIBIBYTE };
};

/**
 * Reports whether a valid repository exists. A directory that is not a repository is no error; a
 * missing storage is one.
 */
export const repositoryExists: Handlers['repositoryExists'] = (request, _context, deps) => {
  try {
    deps.storages.open(request.repository, { otherwise: 'INTERNAL' });
    return { exists: true };
  } catch (error) {
    const code = codeOf(error);
    if (code !== 'NOT_FOUND' && code !== 'FAILED_PRECONDITION') throw error;
    deps.storages.locate(request.repository); // throws for a missing storage
    return { exists: false };
  }
};
