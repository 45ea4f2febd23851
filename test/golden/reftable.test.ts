import { referenceBackends } from '#testkit/repositories/init-repository';
import type { RecordedCase } from './recorded-case.ts';
import { replayArea } from './replay-area.ts';

// The recordings of references once more, in repositories that git has migrated to reftable. Where
// the format makes a difference, reftable.json has the reason.

/** The share of each area's cases that `make test-git` plays. */
const AREAS = { ref: 1, smarthttp: 0.3, operations: 0.15, 'commit-files': 0.15, misc: 0.3, repository: 0.3 };

/** Responses with the settings, files or sizes of a repository. */
const ABOUT_FILES = /\/(?:GetConfig|RepositoryInfo|RepositorySize|GetSnapshot)$|\/CreateRepository/;
/** Matches commands that look into files of references. */
const LOOKS_INTO_FILES = /packed-refs|\b(?:find|ls) (?:\S+\/)?refs\b/;
const READS_HEAD = /\bcat HEAD\b/;
const ASKS_GIT = 'to=$(git symbolic-ref -q HEAD) && echo "ref: $to" || git rev-parse HEAD';

if (referenceBackends().includes('reftable'))
  for (const [area, share] of Object.entries(AREAS))
    replayArea(area, { referenceBackend: 'reftable', isWanted, adapt, share });

/**
 * Set-ups write files of references, and git migrates no broken ones. Some recordings are of
 * reftables already.
 */
function isWanted({ rpc, given, repo }: RecordedCase): boolean {
  return (
    given?.setup === undefined &&
    repo !== 'ref-broken' &&
    repo?.endsWith('reftable') !== true &&
    !ABOUT_FILES.test(rpc)
  );
}

/** Lets commands after a case ask git instead of reading files. */
function adapt(recorded: RecordedCase): RecordedCase {
  const { after, ...rest } = recorded;
  if (after === undefined) return recorded;
  return {
    ...rest,
    after: after
      .filter(({ run }) => !LOOKS_INTO_FILES.test(run))
      .map(({ run, ...others }) => ({ ...others, run: run.replace(READS_HEAD, ASKS_GIT) })),
  };
}
