import { lazyModule } from '#base/lazy-module';
import { serveWith } from '#rpc/server/handler';
import { CommitService } from '#wire/gen/commit_pb';
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
export function commitService(deps: CommitDependencies) {
  let made: Promise<ReturnType<typeof commitLanguages>> | undefined;
  const languages = () => (made ??= loadLanguages().then((loaded) => loaded.commitLanguages(deps)));
  return serveWith(CommitService, deps, {
    checkObjectsExist,
    commitStats,
    commitIsAncestor,
    commitsByMessage,
    countCommits,
    countDivergingCommits,
    filterShasWithSignatures,
    findAllCommits,
    findCommits,
    getCommitMessages,
    getCommitSignatures,
    lastCommitForPath,
    listAllCommits,
    listCommits,
    listLastCommitsForTree,
    listCommitsByOid,
    listCommitsByRefName,
    commitLanguages: async (request, context) => (await languages())(request, context),
    rawBlame,
    treeEntry,
    getTreeEntries,
    listFiles,
    findCommit,
  });
}
