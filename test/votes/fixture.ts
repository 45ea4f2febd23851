import { cpSync } from 'node:fs';
import { gitOutput, initRepository } from '#testkit/repositories/init-repository';

/** The objects that requests name. */
export type Revision = 'after' | 'base' | 'conflicting' | 'main' | 'pick' | 'topic';

const text = (changed: Readonly<Record<number, string>> = {}): string =>
  Array.from({ length: 20 }, (_, index) => `${changed[index] ?? `line ${index}`}\n`).join('');

const SUBMODULE = '[submodule "sub"]\n\tpath = sub\n\turl = ../sub.git\n';
const GIT_LINK = `M 160000 ${'1'.repeat(40)} sub`;

interface FixtureCommit {
  readonly branch: string;
  readonly from?: string;
  readonly files: Readonly<Record<string, string>>;
  readonly others?: string;
}

/** A fork in the history whose sides change other lines, a conflict, and a descendant of `main`. */
const COMMITS: readonly FixtureCommit[] = [
  { branch: 'base', files: { a: text(), '.gitmodules': SUBMODULE }, others: GIT_LINK },
  { branch: 'main', from: 'base', files: { a: text({ 15: 'main' }) } },
  { branch: 'topic', from: 'base', files: { a: text({ 3: 'topic' }) } },
  { branch: 'pick', from: 'base', files: { b: 'picked\n' } },
  { branch: 'conflicting', from: 'base', files: { a: text({ 15: 'other' }) } },
  { branch: 'after', from: 'main', files: { b: 'after\n' } },
];

const data = (content: string): string => `data ${Buffer.byteLength(content)}\n${content}\n`;

function importStream(): string {
  const commits = COMMITS.map(({ branch, from, files, others = '' }, index) => {
    const date = `${1_600_000_000 + 60 * index} +0000`;
    const changes = Object.entries(files).map(
      ([path, content]) => `M 100644 inline ${path}\n${data(content)}`,
    );
    return [
      `commit refs/heads/${branch}\nauthor Ann <a@x> ${date}\ncommitter Cal <c@x> ${date}\n`,
      data(`change ${branch}\n`),
      from === undefined ? '' : `from refs/heads/${from}\n`,
      ...changes,
      `${others}\n`,
    ].join('');
  });
  const tag = `tag v1\nfrom refs/heads/base\ntagger Cal <c@x> 1600000000 +0000\n${data('one\n')}`;
  return commits.join('') + tag;
}

/**
 * Creates a repository with fixed ids: the branches of {@link COMMITS}, one of them packed, and an
 * annotated and a lightweight tag.
 */
export function makeVotingRepository(path: string): Readonly<Record<Revision, string>> {
  initRepository(path);
  gitOutput(path, ['fast-import', '--quiet'], importStream());
  gitOutput(path, ['update-ref', 'refs/heads/packed', 'main']);
  gitOutput(path, ['update-ref', 'refs/tags/light', 'main']);
  gitOutput(path, ['pack-refs', '--all']);
  gitOutput(path, ['update-ref', 'refs/heads/loose', 'main']);
  const idOf = (name: string): string => gitOutput(path, ['rev-parse', `refs/heads/${name}`]);
  return {
    base: idOf('base'),
    main: idOf('main'),
    topic: idOf('topic'),
    pick: idOf('pick'),
    conflicting: idOf('conflicting'),
    after: idOf('after'),
  };
}

/** Creates the remote of that repository: with other values, one more branch and one less. */
export function makeRemote(made: string, path: string): void {
  cpSync(made, path, { recursive: true });
  gitOutput(path, ['update-ref', 'refs/heads/fetched', 'after']);
  gitOutput(path, ['update-ref', '-d', 'refs/heads/packed']);
  gitOutput(path, ['update-ref', 'refs/tags/fetched', 'after']);
  gitOutput(path, ['update-ref', 'refs/heads/loose', 'after']);
}
