import { readFileSync } from 'node:fs';
import { join } from 'node:path';

export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
export type JsonObject = { [key: string]: Json };

/** One recorded call; see README.md for the keys. */
export interface RecordedCase {
  readonly id: string;
  /** `Service/Method`; with `raw` the service includes its package. */
  readonly rpc: string;
  readonly note?: string;
  readonly repo?: string;
  readonly others?: readonly string[];
  readonly given?: {
    readonly setup?: string;
    readonly custom_hooks?: Readonly<Record<string, string>>;
    readonly repo_hooks?: Readonly<Record<string, string>>;
    readonly api?: Readonly<Record<string, Json>>;
    readonly config?: string;
  };
  /** Lines of the configuration of all cases of the file. */
  readonly config?: string;
  readonly metadata?: Readonly<Record<string, string>>;
  readonly requests: readonly Json[];
  readonly responses: readonly Json[];
  readonly status: { readonly code: string; readonly message: string; readonly details?: readonly Json[] };
  readonly after?: readonly { readonly run: string; readonly stdout: string }[];
  readonly api_calls?: readonly Json[];
  /** Files of the web server, in Base64. */
  readonly http_files?: Readonly<Record<string, string>>;
  /** Requests to the web server. */
  readonly http_calls?: readonly Json[];
  readonly derived?: JsonObject & { readonly as: string };
  readonly ignore?: readonly string[];
  readonly unordered?: boolean;
  readonly joined?: boolean;
  readonly raw?: boolean;
}

const here = import.meta.dirname;

export function readCases(area: string): RecordedCase[] {
  const lines = readFileSync(join(here, 'cases', `${area}.jsonl`), 'utf8')
    .split('\n')
    .filter(Boolean);
  // The recordings are fixtures of this repository; their shape is the interface above.
  return lines.map((line) => JSON.parse(line, keepLargeIntegers) as RecordedCase).map(withJoined);
}

/** Adds a key that some recordings mention only in their note. */
function withJoined(recorded: RecordedCase): RecordedCase {
  return recorded.note?.includes('compare the joined data') ? { ...recorded, joined: true } : recorded;
}

/** Keeps 64-bit numbers beyond 2^53 as text, which the wire's JSON accepts too. */
function keepLargeIntegers(_key: string, value: unknown, context?: { source?: string }): unknown {
  return typeof value === 'number' && Number.isInteger(value) && !Number.isSafeInteger(value)
    ? context?.source
    : value;
}
