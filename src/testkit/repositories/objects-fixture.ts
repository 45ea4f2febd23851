import { gitOutput, initRepository } from './init-repository.ts';
import { randomHistory, seededRandom } from './random-history.ts';

/**
 * Creates a repository with a random history, versions of one file (deltas), blobs of several sizes
 * up to a byte more than 256 KiB, and a tag of a tag.
 */
export function makeObjects(path: string, objectFormat: 'sha1' | 'sha256' = 'sha1', seed = 7): string {
  initRepository(path, { objectFormat });
  gitOutput(
    path,
    ['fast-import', '--quiet', '--date-format=raw', '--done'],
    randomHistory(seededRandom(seed), 12),
  );
  const random = seededRandom(seed);
  let text = Array.from({ length: 200 }, () => `${random()}\n`).join('');
  for (let version = 0; version < 30; version++) {
    text = `${text.slice(0, 500 + version * 40)}changed ${version}\n${text.slice(500 + version * 40)}`;
    gitOutput(path, ['hash-object', '-w', '--stdin'], text);
  }
  for (const size of [0, 1, 4_000, 70_000, 262_144, 262_145])
    gitOutput(path, ['hash-object', '-w', '--stdin'], Buffer.alloc(size, 'x'));
  gitOutput(path, ['tag', '-a', '-m', 'tag', 'v1', 'refs/heads/main']);
  gitOutput(path, ['tag', '-a', '-m', 'tag of a tag', 'v2', 'v1']);
  return path;
}

/** Returns git's list of all objects with their types and sizes. */
export function allObjects(path: string): { oid: string; type: string; size: number }[] {
  const output = gitOutput(path, ['cat-file', '--batch-check', '--batch-all-objects', '--unordered']);
  return output.split('\n').map((line) => {
    const [oid = '', type = '', size = ''] = line.split(' ');
    return { oid, type, size: Number(size) };
  });
}
