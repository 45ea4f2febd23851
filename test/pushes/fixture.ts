import { createHash } from 'node:crypto';
import { rmSync } from 'node:fs';
import { gitOutput, type InitOptions, initRepository } from '#testkit/repositories/init-repository';
import { GIT_ENVIRONMENT } from '#testkit/repositories/run-git';
import { outputSync } from '#testkit/run-program-sync';

/** Names of objects in the histories; `none` are zeros. */
export type Named =
  | 'annotated'
  | 'bad'
  | 'badDate'
  | 'badTree'
  | 'badZone'
  | 'blob'
  | 'child'
  | 'large'
  | 'lost'
  | 'main'
  | 'merge'
  | 'moved'
  | 'none'
  | 'old'
  | 'orphan'
  | 'side'
  | 'warned';

const data = (content: string): string => `data ${Buffer.byteLength(content)}\n${content}\n`;

let mark = 0;

function commit(branch: string, parents: readonly string[], changes: string): string {
  mark++;
  const people = `Ann <a@x> ${1_600_000_000 + mark} +0000`;
  const [from, ...others] = parents;
  return [
    `commit refs/heads/${branch}\nauthor ${people}\ncommitter ${people}\n`,
    data(`change ${mark} of ${branch}`),
    from === undefined ? '' : `from ${from}\n`,
    ...others.map((other) => `merge ${other}\n`),
    `${changes}\n`,
  ].join('');
}

const file = (path: string, content: string): string => `M 100644 inline ${path}\n${data(content)}`;
const LONG = Array.from({ length: 400 }, (_, line) => `line ${line}\n`).join('');

/** Text that is larger than a megabyte when it is compressed. */
function largeText(): string {
  const lines: string[] = [];
  for (let line = ''; lines.length < 20_000; lines.push(line))
    line = createHash('sha512').update(line).digest('base64');
  return lines.join('\n');
}

/** The history that the repository has. */
function oldHistory(): string {
  return [
    commit('old', [], file('a', 'one') + file('d/b', 'two') + file('d/e/c', LONG)),
    commit('main', ['refs/heads/old'], `${file('d/b', 'three')}M 160000 ${'1'.repeat(40)} sub\n`),
    commit('side', ['refs/heads/old'], file('d/side', 'side')),
  ].join('');
}

/** The history that is pushed to it. */
function newHistory(): string {
  return [
    commit('child', ['refs/heads/main'], file('d/e/c', `${LONG}end\n`) + file('new', 'new')),
    commit('child', [], file('d/e/f/g', 'deep')),
    commit('moved', ['refs/heads/main'], 'R d/e moved\nC a copy\n'),
    commit('merge', ['refs/heads/child', 'refs/heads/moved'], file('merged', 'yes')),
    commit('large', ['refs/heads/main'], file('large', largeText())),
    commit('orphan', [], file('x', 'no parent')),
    `tag annotated\nfrom refs/heads/child\ntagger Ann <a@x> 1600000500 +0000\n${data('a tag')}`,
  ].join('');
}

export interface PushFixture {
  readonly ids: Readonly<Record<Named, string>>;
  /** Returns a pack of everything that leads to some objects but not to the others. */
  pack(tips: readonly Named[], not?: readonly Named[]): Buffer;
}

/** Creates a repository at `path`, and one that has the pushed history as well. */
export function makePushFixture(path: string, all: string, options: InitOptions): PushFixture {
  mark = 0;
  const gitLink = '1'.repeat(options.objectFormat === 'sha256' ? 64 : 40);
  const old = oldHistory().replace('1'.repeat(40), gitLink);
  initRepository(path, options);
  gitOutput(path, ['fast-import', '--quiet'], old);
  gitOutput(path, ['update-ref', 'refs/heads/folder/inside', 'old']);
  gitOutput(path, ['update-ref', 'refs/keep-around/x', 'old']);
  gitOutput(path, ['symbolic-ref', 'refs/heads/symbolic', 'refs/heads/main']);
  gitOutput(path, ['pack-refs', '--all']);
  gitOutput(path, ['update-ref', 'refs/heads/loose', 'main']);
  rmSync(all, { recursive: true, force: true });
  initRepository(all, options);
  mark = 0;
  gitOutput(all, ['fast-import', '--quiet'], old + newHistory());
  const id = (name: string): string => gitOutput(all, ['rev-parse', name]);
  const text = gitOutput(all, ['cat-file', 'commit', 'child']);
  const write = (type: string, content: string | Uint8Array): string =>
    gitOutput(all, ['hash-object', '-t', type, '-w', '--literally', '--stdin'], content);
  const entry = Buffer.concat([Buffer.from('100644 a\0'), Buffer.from(id('main:a'), 'hex')]);
  const twice = write('tree', Buffer.concat([entry, entry]));
  const ids: Record<Named, string> = {
    annotated: id('annotated'),
    blob: id('main:a'),
    child: id('child'),
    large: id('large'),
    lost: 'a'.repeat(gitLink.length),
    main: id('main'),
    merge: id('merge'),
    moved: id('moved'),
    none: '0'.repeat(gitLink.length),
    old: id('old'),
    orphan: id('orphan'),
    side: id('side'),
    bad: write('commit', `${text.replace('author Ann <a@x>', 'author Ann')}\n`),
    badDate: write('commit', `${text.replace('<a@x> 16', '<a@x> 18446744073709548016')}\n`),
    badZone: write('commit', `${text.replaceAll('+0000', '+051800')}\n`),
    badTree: write('commit', `${text.replace(id('child^{tree}'), twice)}\n`),
    warned: write('tag', `object ${id('child')}\ntype commit\ntag warned\n\nno tagger\n`),
  };
  return {
    ids,
    pack: (tips, not = ['main', 'side', 'old']) => {
      const args = ['pack-objects', '--revs', '--stdout', '--quiet', '--thin', '--delta-base-offset'];
      const input = [...tips.map((tip) => ids[tip]), ...not.map((each) => `^${ids[each]}`), ''].join('\n');
      return outputSync('git', args, { cwd: all, env: GIT_ENVIRONMENT, input });
    },
  };
}
