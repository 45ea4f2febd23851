import { gitOutput } from '../init-repository.ts';

/** The date that old gits wrote for times before 1970. */
export const ODD_SECONDS = '18446744073709548016';

/** Detaches HEAD at a branch, as `git clone --bare` of a detached working copy leaves it. */
export function detachHead(path: string, branch = 'main'): string {
  const oid = gitOutput(path, ['rev-parse', branch]);
  gitOutput(path, ['update-ref', '--no-deref', 'HEAD', oid]);
  return oid;
}

/** Adds the branch `odd` and the tag `odd`, whose commit and tagger have {@link ODD_SECONDS}. */
export function addOddDates(path: string): void {
  const tree = gitOutput(path, ['rev-parse', 'main^{tree}']);
  const who = `A <a@example.com> ${ODD_SECONDS} +0000`;
  const write = (type: string, lines: readonly string[]): string =>
    gitOutput(path, ['hash-object', '-t', type, '-w', '--stdin', '--literally'], `${lines.join('\n')}\n`);
  const oid = write('commit', [`tree ${tree}`, `author ${who}`, `committer ${who}`, '', 'odd']);
  gitOutput(path, ['update-ref', 'refs/heads/odd', oid]);
  const tag = write('tag', [`object ${oid}`, 'type commit', 'tag odd', `tagger ${who}`, '', 'odd']);
  gitOutput(path, ['update-ref', 'refs/tags/odd', tag]);
}
