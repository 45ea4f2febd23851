import type { GitCommit } from '#wire/gen/shared_pb';
import { type AskGit, ifFailed } from './ask-git.ts';
import { text } from './comparison.ts';

/** Name and time of a person in the object. */
interface Ident {
  readonly name: string;
  readonly email: string;
  readonly seconds: string;
  readonly zone: string;
}

/** Contents of a commit object, as bytes in Latin-1. */
export interface CommitAnswer {
  readonly id: string;
  readonly tree: string;
  readonly parents: readonly string[];
  readonly author: Ident;
  readonly committer: Ident;
  readonly encoding: string;
  readonly subject: string;
  readonly body: string;
  readonly bodySize: number;
}

const BODY_LIMIT = 10_240;
const known = new WeakMap<AskGit, Map<string, Promise<CommitAnswer>>>();
const knownPeople = new WeakMap<AskGit, Map<string, Promise<string>>>();

/** Returns the server's commit. */
export function ourCommit(commit: GitCommit | undefined): CommitAnswer | undefined {
  if (commit === undefined) return undefined;
  const ident = (person: GitCommit['author']): Ident => ({
    name: text(person?.name ?? Buffer.of()),
    email: text(person?.email ?? Buffer.of()),
    seconds: String(person?.date?.seconds),
    zone: text(person?.timezone ?? Buffer.of()),
  });
  return {
    id: commit.id,
    tree: commit.treeId,
    parents: commit.parentIds,
    author: ident(commit.author),
    committer: ident(commit.committer),
    encoding: commit.encoding,
    subject: text(commit.subject),
    body: text(commit.body),
    bodySize: Number(commit.bodySize),
  };
}

/** Returns git's commit with that id. @throws {GitFailed} */
export function gitCommit(git: AskGit, oid: string): Promise<CommitAnswer> {
  const commits = known.get(git) ?? new Map<string, Promise<CommitAnswer>>();
  known.set(git, commits);
  const commit = commits.get(oid) ?? readCommit(git, oid);
  commits.set(oid, commit);
  return commit;
}

/** Returns git's commits with those ids. @throws {GitFailed} */
export function gitCommits(git: AskGit, oids: readonly string[]): Promise<CommitAnswer[]> {
  return Promise.all(oids.map((oid) => gitCommit(git, oid)));
}

/** Returns git's commit for a revision; none if there is none or git cannot read it. */
export async function gitCommitNamed(
  git: AskGit,
  revision: string | Buffer,
): Promise<CommitAnswer | undefined> {
  const peeled = Buffer.concat([Buffer.from(revision), Buffer.from('^{commit}')]);
  const oid = await git.wordIfAny(['rev-parse', '--quiet', '--verify', '--end-of-options', peeled]);
  return oid === undefined ? undefined : gitCommit(git, oid).catch(ifFailed(undefined));
}

async function readCommit(git: AskGit, oid: string): Promise<CommitAnswer> {
  const object = text(await git.output(['cat-file', 'commit', oid]));
  const end = object.indexOf('\n\n');
  const headers = object.slice(0, end).split('\n');
  const message = object.slice(end + 2);
  const values = (name: string): string[] =>
    headers.filter((line) => line.startsWith(`${name} `)).map((line) => line.slice(name.length + 1));
  const ident = async (line = ''): Promise<Ident> => {
    const [, person = '', seconds = '', zone = ''] = /^(.*?<.*?>) (\S+) (\S+)$/.exec(line) ?? [];
    const [, name = '', email = ''] = /^(.*?) ?<(.*?)>$/.exec(await mapped(git.mailmap, person)) ?? [];
    return { name, email, seconds, zone };
  };
  return {
    id: oid,
    tree: values('tree')[0] ?? '',
    parents: values('parent'),
    author: await ident(values('author')[0]),
    committer: await ident(values('committer')[0]),
    encoding: values('encoding')[0] ?? '',
    subject: message.split('\n')[0]?.replace(/\r+$/, '') ?? '',
    body: message.slice(0, BODY_LIMIT),
    bodySize: message.length,
  };
}

/**
 * Returns a person after the mailmap of HEAD. `cat-file --use-mailmap` cannot provide the expected
 * result: git 2.39 does not map committers.
 */
function mapped(git: AskGit, person: string): Promise<string> {
  const people = knownPeople.get(git) ?? new Map<string, Promise<string>>();
  knownPeople.set(git, people);
  const answer =
    people.get(person) ??
    git.word(['check-mailmap', '--stdin'], Buffer.from(`${person}\n`, 'latin1')).catch(ifFailed(person));
  people.set(person, answer);
  return answer;
}
