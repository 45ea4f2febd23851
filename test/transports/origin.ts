import { appendFileSync } from 'node:fs';
import { join } from 'node:path';
import { gitOutput, initRepository, type referenceBackends } from '#testkit/repositories/init-repository';
import { Template } from '#testkit/repositories/template';

export interface Format {
  readonly objectFormat: 'sha1' | 'sha256';
  readonly referenceBackend: ReturnType<typeof referenceBackends>[number];
}

const COMMITS = 12;
const FIRST_SECONDS = 1_600_000_000;
const DAY_SECONDS = 86_400;

/** The settings of our server for each repository, for git's own programs. */
export const SERVER_SETTINGS = `
[uploadpack]
  allowFilter = true
  allowAnySHA1InWant = true
[receive]
  advertisePushOptions = true
  autogc = false
[transfer]
  fsckObjects = true
[http]
  receivepack = true
`;

/** The repository of which each place has a copy. */
export class Origin {
  /** Path of a copy that has two more commits, on the branch `next`. */
  readonly path: string;
  readonly #template: Template;
  readonly #oids = new Map<string, string>();

  /** @param directory of which it becomes a part. */
  constructor(directory: string, format: Format) {
    this.path = join(directory, 'origin.git');
    this.#template = new Template((path) => makeOrigin(path, format));
    this.copyTo(this.path);
    gitOutput(this.path, ['branch', 'next', 'main']);
    gitOutput(this.path, ['fast-import', '--quiet'], commits('next', 13, 14));
  }

  copyTo(path: string, settings = ''): void {
    this.#template.copyTo(path);
    appendFileSync(join(path, 'config'), settings);
  }

  /** Returns an object id by a revision such as `main~3`; for `missing` one that no object has. */
  oid(revision: string): string {
    if (revision === 'missing') return this.oid('main').replace(/./g, 'a');
    const known = this.#oids.get(revision) ?? gitOutput(this.path, ['rev-parse', revision]);
    this.#oids.set(revision, known);
    return known;
  }
}

/**
 * Makes the repository. Its older half is a pack with a bitmap; the other objects are loose.
 *
 * - `main`: 12 commits, one each day, with files of 20 bytes to 3 KiB in three directories; the
 *   eighth merges `side`, two commits on the third
 * - branches `old` (main~8), `feature/x` (two commits on main~4), `unrelated` (another root)
 * - annotated tags `v1` (main~9) and `v2` (main~3), the tag `nested` of `v1`, the light tag `light`
 */
function makeOrigin(path: string, format: Format): void {
  initRepository(path, format);
  const git = (...args: string[]): string => gitOutput(path, args);
  const load = (stream: string): string => gitOutput(path, ['fast-import', '--quiet'], stream);
  load(commits('main', 1, COMMITS / 2));
  git('update-ref', 'refs/heads/side', 'main~3');
  load(commits('side', 4, 5));
  git('repack', '-adbq');
  load(commits('main', COMMITS / 2 + 1, COMMITS));
  git('update-ref', 'refs/heads/old', 'main~8');
  git('update-ref', 'refs/heads/feature/x', 'main~4');
  load(commits('feature/x', COMMITS + 1, COMMITS + 2) + commits('unrelated', COMMITS + 3, COMMITS + 3, true));
  for (const [name, target] of Object.entries({ v1: 'main~9', v2: 'main~3', nested: 'v1' }))
    git('tag', '-a', '-m', name, name, target);
  git('tag', 'light', 'main~6');
}

/** Returns a stream for `git fast-import` with commits on a branch. */
export function commits(branch: string, first: number, last: number, isNew = first === 1): string {
  let stream = '';
  for (let number = first; number <= last; number++) {
    const hasParent = !(isNew && number === first);
    stream += `commit refs/heads/${branch}\n`;
    stream += `committer Cal Committer <cal@example.com> ${FIRST_SECONDS + number * DAY_SECONDS} +0000\n`;
    stream += data(`${branch} ${number}\n`);
    if (hasParent && number === first) stream += `from refs/heads/${branch}^0\n`;
    if (branch === 'main' && number === 8) stream += 'merge refs/heads/side^0\n';
    stream += `M 100644 inline a.txt\n${data(`${branch} ${number}\n`.repeat(number))}`;
    stream += `M 100644 inline dir/deep/${number % 4}.txt\n${data(`deep ${branch} ${number}\n`)}`;
    if (number % 3 === 0) stream += `M 100755 inline dir/big\n${data(`${number} lines\n`.repeat(300))}`;
  }
  return stream;
}

/** Returns the part of such a stream with a content. */
export function data(text: string): string {
  return `data ${Buffer.byteLength(text)}\n${text}\n`;
}
