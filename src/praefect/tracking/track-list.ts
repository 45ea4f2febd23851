import { messageOf } from '#base/gitaly-error';
import { describeJsonError } from '#base/go/encoding/json-error';
import { quote } from '#base/go/quote';
import { RepositoryLookups } from '../store/repository-lookups.ts';
import { isOnNode, type TrackOptions, type TrackRequest, trackRepository } from './track-repository.ts';

/** Names of a line's keys and of the command's options. */
const KEYS = [
  ['relative_path', 'relative-path'],
  ['replica_path', 'replica-path'],
  ['virtual_storage', 'virtual-storage'],
  ['authoritative_storage', 'authoritative-storage'],
] as const;

interface Invalid {
  readonly line: number;
  readonly relativePath: string;
  readonly replicaPath: string;
  readonly problems: readonly (string | 'duplicate')[];
}

/**
 * Adds repositories that are described by lines of JSON. Nothing is changed if one is wrong.
 *
 * @param path name of the file, for messages.
 * @throws {Error} `invalid entries found, aborting`, and that of the first repository that fails.
 */
export async function trackRepositories(
  parts: TrackOptions,
  { path, lines }: { path: string; lines: readonly string[] },
): Promise<void> {
  const { print } = parts;
  print(`Validating repository information in ${quote(path)}`);
  const requests: TrackRequest[] = [];
  const invalid: Invalid[] = [];
  const linesOf = new Map<string, number[]>();
  for (const [index, text] of lines.entries()) {
    const line = index + 1;
    const { request, problems } = await read(parts, text, (relativePath) => {
      const before = linesOf.get(relativePath);
      linesOf.set(relativePath, [...(before ?? []), line]);
      return before === undefined;
    });
    if (problems.length === 0) requests.push(request);
    else invalid.push({ line, ...request, problems });
  }
  if (invalid.length > 0) {
    print(`Found ${invalid.length} invalid request(s) in ${quote(path)}:`);
    for (const { line, problems, relativePath, replicaPath } of invalid) {
      print(`  line ${line}, relative_path: ${quote(relativePath)}, replica_path: ${quote(replicaPath)}`);
      for (const problem of problems) {
        const all = linesOf.get(relativePath)?.join(' ');
        print(
          `    ${problem === 'duplicate' ? `duplicate entries for relative_path, line [${all}]` : problem}`,
        );
      }
    }
    throw new Error('invalid entries found, aborting');
  }
  if (requests.length === 0) throw new Error(`no repository information found in ${quote(path)}`);
  print('All repository details are correctly formatted');
  print(`Tracking ${lines.length} repositories in Praefect DB...`);
  for (const request of requests) {
    await trackRepository(parts, request).catch((error: unknown) => {
      throw new Error(`tracking repository ${quote(request.relativePath)}: ${messageOf(error)}`, {
        cause: error,
      });
    });
  }
}

/** @param isFirst records a path, and reports whether it is the first line with it. */
async function read(
  parts: TrackOptions,
  text: string,
  isFirst: (relativePath: string) => boolean,
): Promise<{ request: TrackRequest; problems: readonly string[] }> {
  let fields: Record<string, unknown> = {};
  const of = (key: string): string => {
    const value = Object.hasOwn(fields, key) ? fields[key] : undefined;
    return typeof value === 'string' ? value : '';
  };
  const request = (): TrackRequest => ({
    relativePath: of('relative_path'),
    replicaPath: of('replica_path'),
    virtualStorage: of('virtual_storage'),
    authoritativeStorage: of('authoritative_storage'),
  });
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== 'object' || value === null) throw new Error('not a JSON object');
    fields = { ...value };
  } catch (error) {
    return { request: request(), problems: [describeJsonError(text, 'document') ?? messageOf(error)] };
  }
  const missing = KEYS.filter(([key]) => of(key) === '');
  if (missing.length > 0)
    return {
      request: request(),
      problems: missing.map(([, option]) => `${quote(option)} is a required parameter`),
    };
  const found = request();
  if (!isFirst(found.relativePath)) return { request: found, problems: ['duplicate'] };
  if (await new RepositoryLookups(parts.database).exists(found))
    return { request: found, problems: ['repository is already tracked by Praefect'] };
  try {
    const problems = (await isOnNode(parts, found)) ? [] : ['not a valid git repository'];
    return { request: found, problems };
  } catch (error) {
    return { request: found, problems: [`checking repository on disk: ${messageOf(error)}`] };
  }
}
