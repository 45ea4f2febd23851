import type { MessageInitShape } from '@bufbuild/protobuf';
import { codeOf, invalidArgument, wrap, wrapped } from '#base/gitaly-error';
import { fileAttributes } from '#domain/attributes/file-attributes';
import { calculateChecksum as calculate } from '#domain/checksum/calculate-checksum';
import { checkRepository } from '#domain/consistency/check-repository';
import { fullPath as readFullPath, setFullPath as writeFullPath } from '#domain/settings/full-path';
import type { HandlerContext, ResponseOf } from '#rpc/server/handler';
import { directorySizeBytes } from '#storage/statistics/directory-size';
import { REPOSITORY_SIZE_OPTIONS } from '#storage/statistics/repository-statistics';
import type {
  CalculateChecksumRequest,
  CalculateChecksumResponseSchema,
  FsckRequest,
  FsckResponseSchema,
  FullPathRequest,
  FullPathResponseSchema,
  GetFileAttributesRequest,
  GetFileAttributesResponseSchema,
  GetObjectDirectorySizeRequest,
  GetObjectDirectorySizeResponseSchema,
  HasLocalBranchesRequest,
  HasLocalBranchesResponseSchema,
  ObjectFormatRequest,
  ObjectFormatResponseSchema,
  RepositoryExistsRequest,
  RepositoryExistsResponseSchema,
  RepositorySizeRequest,
  RepositorySizeResponseSchema,
  SetFullPathRequest,
  SetFullPathResponseSchema,
} from '#wire/gen/repository_pb';
import { ObjectFormat } from '#wire/gen/shared_pb';
import type { RepositoryDependencies } from '../dependencies.ts';

const FORMATS = { sha1: ObjectFormat.SHA1, sha256: ObjectFormat.SHA256 } as const;
const KIBIBYTE = 1024n;

/** Returns a checksum of the references that the nodes of a cluster compare. */
export async function calculateChecksum(
  request: CalculateChecksumRequest,
  context: HandlerContext,
  deps: RepositoryDependencies,
): ResponseOf<typeof CalculateChecksumResponseSchema> {
  const repository = deps.storages.open(request.repository);
  return { checksum: await calculate(repository, { signal: context.signal }) };
}

/** Checks the objects and references of a repository. Problems are a result, not an error. */
export async function fsck(
  request: FsckRequest,
  context: HandlerContext,
  deps: RepositoryDependencies,
): ResponseOf<typeof FsckResponseSchema> {
  const repository = deps.storages.open(request.repository);
  const { repoOnly } = request;
  const problems = await checkRepository(repository, { repoOnly, signal: context.signal });
  return problems === undefined ? {} : { error: problems };
}

/** Returns the path under which GitLab shows a repository. Fails if there is none. */
export async function fullPath(
  request: FullPathRequest,
  context: HandlerContext,
  deps: RepositoryDependencies,
): ResponseOf<typeof FullPathResponseSchema> {
  const repository = deps.storages.open(request.repository);
  const path = await readFullPath(repository, context.signal).catch(wrapped('fetch config'));
  return { path: path.toString() };
}

/** Stores the path under which GitLab shows a repository. */
export async function setFullPath(
  request: SetFullPathRequest,
  context: HandlerContext,
  deps: RepositoryDependencies,
): ResponseOf<typeof SetFullPathResponseSchema> {
  const repository = deps.storages.open(request.repository);
  if (request.path === '') throw invalidArgument('no path provided');

  const options = { vote: deps.voteOf(context), signal: context.signal };
  await writeFullPath(repository, request.path, options).catch(wrapped('setting config'));
  return {};
}

/** Returns the attributes that `.gitattributes` of a revision give to paths. */
export async function getFileAttributes(
  request: GetFileAttributesRequest,
  context: HandlerContext,
  deps: RepositoryDependencies,
): ResponseOf<typeof GetFileAttributesResponseSchema> {
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
}

/** Reports whether any branch points to a commit. */
export async function hasLocalBranches(
  request: HasLocalBranchesRequest,
  context: HandlerContext,
  deps: RepositoryDependencies,
): ResponseOf<typeof HasLocalBranchesResponseSchema> {
  const { refs } = deps.storages.open(request.repository);
  return { value: await refs.hasBranches({ signal: context.signal }) };
}

/** Returns the hash of a repository. */
export function objectFormat(
  request: ObjectFormatRequest,
  deps: RepositoryDependencies,
): MessageInitShape<typeof ObjectFormatResponseSchema> {
  return { format: FORMATS[deps.storages.open(request.repository).objectFormat] };
}

/**
 * Returns the size of the object directory that the request names, in KiB, rounded down. For a
 * quarantine, only its own size counts.
 */
export async function getObjectDirectorySize(
  request: GetObjectDirectorySizeRequest,
  deps: RepositoryDependencies,
): ResponseOf<typeof GetObjectDirectorySizeResponseSchema> {
  const directory = deps.storages.objectDirectory(request.repository);
  return { size: (await directorySizeBytes(directory, { sums: deps.storages.directorySums })) / KIBIBYTE };
}

/**
 * Returns the size of a repository's files in KiB, rounded down. Objects of alternates do not
 * count.
 */
export async function repositorySize(
  request: RepositorySizeRequest,
  deps: RepositoryDependencies,
): ResponseOf<typeof RepositorySizeResponseSchema> {
  const repository = deps.storages.open(request.repository);
  const options = { ...REPOSITORY_SIZE_OPTIONS, sums: deps.storages.directorySums };
  return { size: (await directorySizeBytes(repository.path, options)) / KIBIBYTE };
}

/**
 * Reports whether a valid repository exists. A directory that is not a repository is no error; a
 * missing storage is one.
 */
export function repositoryExists(
  request: RepositoryExistsRequest,
  deps: RepositoryDependencies,
): MessageInitShape<typeof RepositoryExistsResponseSchema> {
  try {
    deps.storages.open(request.repository, { otherwise: 'INTERNAL' });
    return { exists: true };
  } catch (error) {
    const code = codeOf(error);
    if (code !== 'NOT_FOUND' && code !== 'FAILED_PRECONDITION') throw error;
    deps.storages.locate(request.repository); // throws for a missing storage
    return { exists: false };
  }
}
