import { fetchSourceBranch as fetch } from '#domain/remote/fetch/fetch-source-branch';
import { remoteOpener } from '#services/convert/request/open-remote';
import { requireRevision } from '#services/convert/request/revision';
import type { Handlers } from '../dependencies.ts';

/** Writes a reference with the commit of a branch of another repository. */
export const fetchSourceBranch: Handlers['fetchSourceBranch'] = async (request, context, deps) => {
  const repository = deps.storages.open(request.repository);
  const revision = requireRevision(request.sourceBranch);
  const target = requireRevision(request.targetRef);

  const { sourceRepository } = request;
  // Also for the repository itself: Gitaly requires the metadata in any case.
  const source = await remoteOpener(sourceRepository ?? NOWHERE, context, deps.remotes)();
  const isSame =
    sourceRepository?.storageName === repository.storageName &&
    sourceRepository.relativePath === request.repository?.relativePath;
  const branch = {
    source: isSame ? undefined : source,
    revision,
    target,
    expectedOid: request.expectedTargetOldOid,
  };
  const hooks = deps.transactionHooks(context);
  return { result: await fetch(repository, branch, { hooks, signal: context.signal }) };
};

/** A repository of no storage. */
const NOWHERE = { storageName: '', relativePath: '' };
