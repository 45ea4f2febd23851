import { requestLines } from './request-lines.ts';

/** Request for everything that some objects need, from a client that has nothing. */
export interface SmallFetchRequest {
  /** The lines that determine the answer, as a key. */
  readonly key: string;
  /** Wanted objects, as hexadecimal ids. */
  readonly wants: readonly string[];
}

/** Most clients fetch a few branches; a mirror fetches all references. */
const MAX_REQUEST_BYTES = 16 * 1024;

const COMMAND = 'command=fetch';
/** They have no effect on the answer. */
const CLIENT = /^(?:agent|session-id)=/;
const CAPABILITY = /^object-format=/;
const WANT = /^want ([0-9a-f]{40}(?:[0-9a-f]{24})?)$/;
/**
 * Arguments with which the answer depends on nothing but the objects and the references. Without
 * `have` and `shallow`: the client has nothing.
 */
const ARGUMENT = /^(?:thin-pack|no-progress|include-tag|ofs-delta|done|deepen \d+|filter [\w:=.]+)$/;

/**
 * Parses one whole request of protocol v2. @returns `undefined` for all other requests, which only
 * git understands.
 */
export function smallFetchRequest(bytes: Buffer): SmallFetchRequest | undefined {
  if (bytes.length > MAX_REQUEST_BYTES) return undefined;
  const lines = requestLines(bytes);
  if (typeof lines === 'string' || lines[0] !== COMMAND) return undefined;
  const delimiter = lines.indexOf(undefined);
  if (delimiter === -1) return undefined;
  const capabilities = lines.slice(1, delimiter);
  const given = lines.slice(delimiter + 1);
  const relevant = capabilities.filter((line) => line === undefined || !CLIENT.test(line));
  if (!relevant.every((line) => line !== undefined && CAPABILITY.test(line))) return undefined;

  const wants: string[] = [];
  for (const line of given) {
    const [, want] = WANT.exec(line ?? '') ?? [];
    if (want !== undefined) wants.push(want);
    else if (line === undefined || !ARGUMENT.test(line)) return undefined;
  }
  if (wants.length === 0 || !given.includes('done')) return undefined;
  return { key: [...relevant, '', ...given].join('\n'), wants };
}
