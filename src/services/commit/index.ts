import { lazyModule } from '#base/lazy-module';
import type { ServiceImplementation } from '#rpc/server/handler';
import type { CommitService } from '#wire/gen/commit_pb';
import type { CommitDependencies } from './dependencies.ts';
import { commitIsAncestor } from './history/commit-is-ancestor.ts';
import { commitsByMessage, findAllCommits, listAllCommits } from './history/commit-lists.ts';
import { countCommits, countDivergingCommits } from './history/count-commits.ts';
import { findCommits, listCommits } from './history/find-commits.ts';
import { lastCommitForPath } from './history/last-commit-for-path.ts';
import { checkObjectsExist } from './lookup/check-objects-exist.ts';
import { filterShasWithSignatures, getCommitSignatures } from './lookup/commit-signatures.ts';
import { commitStats } from './lookup/commit-stats.ts';
import { findCommit } from './lookup/find-commit.ts';
import { getCommitMessages } from './lookup/get-commit-messages.ts';
import { listCommitsByOid, listCommitsByRefName } from './lookup/list-commits-by.ts';
import type { commitLanguages } from './tree/commit-languages.ts';
import { getTreeEntries } from './tree/get-tree-entries.ts';
import { listFiles } from './tree/list-files.ts';
import { listLastCommitsForTree } from './tree/list-last-commits-for-tree.ts';
import { rawBlame } from './tree/raw-blame.ts';
import { treeEntry } from './tree/tree-entry.ts';

/** Otherwise every start would load it, and calls for languages are not urgent. */
const loadLanguages = lazyModule(() => import('./tree/commit-languages.ts'));

/** Commits and the objects below them. */
export function commitService(deps: CommitDependencies): ServiceImplementation<typeof CommitService> {
  let made: Promise<ReturnType<typeof commitLanguages>> | undefined;
  const languages = () => (made ??= loadLanguages().then((loaded) => loaded.commitLanguages(deps)));
  return {
    checkObjectsExist: (requests, context) => checkObjectsExist(requests, context, deps),
    commitStats: (request, context) => commitStats(request, context, deps),
    commitIsAncestor: (request, context) => commitIsAncestor(request, context, deps),
    commitsByMessage: (request, context) => commitsByMessage(request, context, deps),
    countCommits: (request, context) => countCommits(request, context, deps),
    countDivergingCommits: (request, context) => countDivergingCommits(request, context, deps),
    filterShasWithSignatures: (requests, context) => filterShasWithSignatures(requests, context, deps),
    findAllCommits: (request, context) => findAllCommits(request, context, deps),
    findCommits: (request, context) => findCommits(request, context, deps),
    getCommitMessages: (request, context) => getCommitMessages(request, context, deps),
    getCommitSignatures: (request, context) => getCommitSignatures(request, context, deps),
    lastCommitForPath: (request, context) => lastCommitForPath(request, context, deps),
    listAllCommits: (request, context) => listAllCommits(request, context, deps),
    listCommits: (request, context) => listCommits(request, context, deps),
    listLastCommitsForTree: (request, context) => listLastCommitsForTree(request, context, deps),
    listCommitsByOid: (request, context) => listCommitsByOid(request, context, deps),
    listCommitsByRefName: (request, context) => listCommitsByRefName(request, context, deps),
    commitLanguages: async (request, context) => (await languages())(request, context),
    rawBlame: (request, context) => rawBlame(request, context, deps),
    treeEntry: (request, context) => treeEntry(request, context, deps),
    getTreeEntries: (request, context) => getTreeEntries(request, context, deps),
    listFiles: (request, context) => listFiles(request, context, deps),
    findCommit: (request, context) => findCommit(request, context, deps),
  };
}
