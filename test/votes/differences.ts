import { createHash } from 'node:crypto';
import { capabilitiesOf } from '#git/command/capabilities';
import { testedGit } from '#testkit/repositories/run-git';

/** Votes of a call that differ from the recording for a good reason. */
interface Difference {
  readonly call: string;
  readonly reason: string;
  /** Reports whether the git under test is one of those that differ. */
  readonly applies: boolean;
  /** Returns the expected votes. @param recorded of each call */
  readonly votes: (recorded: Readonly<Record<string, readonly string[]>>) => readonly string[];
}

const sha1 = (text: string): string => createHash('sha1').update(text).digest('hex');
const HEAD_VOTE = sha1('ref: refs/heads/topic\n');
/** Gitaly's vote before it commits a locked file (internal/gitaly/transaction/voting.go). */
const BEFORE_CONTENT = sha1('preparing commit locked file');

/** The recording is from git 2.53. */
const DIFFERENCES: readonly Difference[] = [
  {
    call: 'WriteRef of HEAD',
    reason: 'Before 2.46 update-ref cannot change symbolic references: the nodes vote on the file.',
    applies: !capabilitiesOf(testedGit()).symrefUpdate,
    votes: () => [`preparing ${BEFORE_CONTENT}`, `prepared ${HEAD_VOTE}`, `committed ${HEAD_VOTE}`],
  },
  {
    call: 'PostReceivePack of several branches',
    reason: 'Before 2.51 receive-pack changes each reference in a transaction, in the order of the push.',
    applies: !capabilitiesOf(testedGit()).batchedPushes,
    votes: (recorded) => {
      const push = recorded['PostReceivePack of several branches'] ?? [];
      const [preReceive = '', update = ''] = push;
      const changes = [
        'WriteRef of a new branch',
        'WriteRef of an existing branch with its old value',
        'UserDeleteBranch of a packed branch',
      ].map((call) => (recorded[call] ?? []).filter((vote) => /^(?:prepared|committed) /.test(vote)));
      return [preReceive, ...changes.flatMap((votes) => [update, ...votes]), ...push.slice(-2)];
    },
  },
];

/** Returns the votes that the git under test leads to. */
export function expectedVotes(
  call: string,
  recorded: Readonly<Record<string, readonly string[]>>,
): readonly string[] | undefined {
  const difference = DIFFERENCES.find((each) => each.call === call && each.applies);
  return difference === undefined ? recorded[call] : difference.votes(recorded);
}
