import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { NO_SSH_KEYGEN } from '#testkit/programs/signing-tools';
import { randomHistory, seededRandom } from '#testkit/repositories/random-history';
import { GIT_ENVIRONMENT } from '#testkit/repositories/run-git';

/** Files and output of git, as samples of its formats. */
export interface GitSamples {
  readonly packedRefs: Buffer;
  readonly commitGraph: Buffer;
  readonly multiPackIndex: Buffer;
  readonly bitmap: Buffer;
  readonly trees: readonly Buffer[];
  readonly commits: readonly Buffer[];
  readonly tags: readonly Buffer[];
  readonly catFile: Buffer;
  readonly rawPatch: Buffer;
  readonly rawRecords: Buffer;
  readonly numstat: Buffer;
  readonly rangeDiff: Buffer;
  readonly mergeTree: Buffer;
  readonly uploadPackRequest: Buffer;
  readonly tar: Buffer;
  /** A private key of OpenSSH, if that is installed. */
  readonly sshKeys: readonly Buffer[];
}

const COMMITS = 30;

/** Makes a repository at an empty path and returns what git writes there and prints about it. */
export function gitSamples(path: string): GitSamples {
  const git = (args: readonly string[], input?: string): Buffer =>
    execFileSync('git', ['-C', path, ...args], {
      env: { ...process.env, ...GIT_ENVIRONMENT },
      stdio: ['pipe', 'pipe', 'ignore'],
      ...(input !== undefined && { input }),
    });
  const allowFailure = (args: readonly string[]): Buffer => {
    try {
      return git(args);
    } catch (error) {
      return (error as { stdout: Buffer }).stdout; // execFileSync's error has the output
    }
  };
  execFileSync('git', ['init', '--quiet', '--bare', path]);
  git(['fast-import', '--quiet'], randomHistory(seededRandom(5), COMMITS));
  const [tip = '', before = ''] = git(['rev-list', '--all', '--date-order']).toString().split('\n');
  for (const name of ['v1', 'v2']) git(['tag', '-m', `tag ${name}`, name, tip]);
  git(['tag', '-m', 'a tag of a tag', 'v3', 'v2']);
  git(['branch', 'side', before]);
  git(['pack-refs', '--all']);
  git(['commit-graph', 'write', '--reachable', '--changed-paths']);
  git(['repack', '-adq', '--write-bitmap-index']);
  const bitmap = only(join(path, 'objects/pack'), '.bitmap');
  git(['multi-pack-index', 'write']);
  const ids = git(['cat-file', '--batch-all-objects', '--batch-check']).toString().trim().split('\n');
  const objects = (type: string): Buffer[] =>
    ids
      .filter((line) => line.includes(` ${type} `))
      .slice(0, 8)
      .map((line) => git(['cat-file', type, line.split(' ')[0] ?? '']));
  const all = ids.slice(0, 20).map((line) => line.split(' ')[0]);
  return {
    packedRefs: readFileSync(join(path, 'packed-refs')),
    commitGraph: readFileSync(join(path, 'objects/info/commit-graph')),
    multiPackIndex: readFileSync(join(path, 'objects/pack/multi-pack-index')),
    bitmap,
    trees: objects('tree'),
    commits: objects('commit'),
    tags: objects('tag'),
    catFile: git(['cat-file', '--batch'], `${all.join('\n')}\nmissing\n`),
    rawPatch: git([
      'diff-tree',
      '-r',
      '--root',
      '--raw',
      '--patch',
      '--full-index',
      '--no-abbrev',
      '-M',
      before,
      tip,
    ]),
    rawRecords: git(['diff-tree', '-r', '-z', '--raw', '--no-abbrev', '-M', '--root', tip]),
    numstat: git(['diff-tree', '-r', '-z', '--numstat', '-M', '--root', tip]),
    rangeDiff: git(['range-diff', '--no-color', '--no-abbrev', `${tip}~2..${tip}`, `${tip}~3..${tip}~1`]),
    mergeTree: allowFailure(['merge-tree', '--write-tree', '-z', tip, before]),
    uploadPackRequest: Buffer.from(
      '0014command=ls-refs\n0015agent=git/2.45.0\n0001' +
        '0009peel\n000csymrefs\n001bref-prefix refs/heads/\n0000',
    ),
    tar: git(['archive', '--format=tar', tip]),
    sshKeys: NO_SSH_KEYGEN ? [] : ['ed25519', 'rsa'].map((type) => sshKey(`${path}.${type}`, type)),
  };
}

function sshKey(file: string, type: string): Buffer {
  execFileSync('ssh-keygen', ['-q', '-t', type, '-N', '', '-C', 'x', '-f', file]);
  return readFileSync(file);
}

function only(directory: string, ending: string): Buffer {
  const name = readdirSync(directory).find((each) => each.endsWith(ending)) ?? '';
  return readFileSync(join(directory, name));
}
