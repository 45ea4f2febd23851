import { requestLines } from './request-lines.ts';

/** A fetch whose answer may be sent to several clients. */
export interface ShareableRequest {
  readonly bytes: Buffer;
  /** The lines that determine the answer, as a key. */
  readonly key: string;
  /** Wanted objects, as hexadecimal ids. */
  readonly wants: readonly string[];
  /** The other arguments of `fetch`. */
  readonly others: readonly string[];
  /** True if the client negotiates no further. */
  readonly isDone: boolean;
}

/** A clone of 2,500 branches and tags; parsing it takes some milliseconds. */
export const MAX_SHAREABLE_BYTES = 128 * 1024;
/** Larger requests of clients that have objects list some that no other client has. */
const MAX_NEGOTIATING_BYTES = 64 * 1024;

const COMMAND = 'command=fetch';
/** They have no effect on the answer. */
const CLIENT = /^(?:agent|session-id)=/;
const CAPABILITY = /^object-format=/;
const ID = '[0-9a-f]{40}(?:[0-9a-f]{24})?';
const HAVE = /^have /;
const WANT = new RegExp(`^want (${ID})$`);
/**
 * Arguments with which an answer stays right: an object that was found stays the same, and a pack
 * that lacks what was added since is still complete for the request. Not among them are
 * references by name (`want-ref`, `deepen-not`), which move.
 */
const ARGUMENT = new RegExp(
  `^(?:have ${ID}|shallow ${ID}|thin-pack|no-progress|include-tag|ofs-delta|done|wait-for-done` +
    `|sideband-all|deepen \\d+|deepen-relative|deepen-since \\d+|filter [\\w:=.+%]+)$`,
);

/**
 * Parses one whole fetch of protocol v2.
 *
 * @returns `undefined` for requests whose answer is not shared.
 */
export function shareableRequest(bytes: Buffer): ShareableRequest | undefined {
  if (bytes.length > MAX_SHAREABLE_BYTES) return undefined;
  const lines = requestLines(bytes);
  if (typeof lines === 'string' || lines[0] !== COMMAND) return undefined;
  const delimiter = lines.indexOf(undefined);
  if (delimiter === -1) return undefined;
  const relevant: string[] = [];
  for (const line of lines.slice(1, delimiter)) {
    if (line === undefined || CLIENT.test(line)) continue;
    if (!CAPABILITY.test(line)) return undefined;
    relevant.push(line);
  }
  const wants: string[] = [];
  const others: string[] = [];
  const given = lines.slice(delimiter + 1);
  for (const line of given) {
    const [, want] = WANT.exec(line ?? '') ?? [];
    if (want !== undefined) wants.push(want);
    else if (line === undefined || !ARGUMENT.test(line)) return undefined;
    else others.push(line);
  }
  if (wants.length === 0) return undefined;
  if (bytes.length > MAX_NEGOTIATING_BYTES && others.some((line) => HAVE.test(line))) return undefined;
  const key = [...relevant, '', ...given].join('\n');
  return { bytes, key, wants, others, isDone: others.includes('done') };
}
