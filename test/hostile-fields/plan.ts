import { isUtf8 } from 'node:buffer';
import type { MethodInfo } from '#wire/method-info';
import { type HostileCall, placeholder } from './caller.ts';
import {
  essentialValues,
  type HostileValue,
  hostileValues,
  joinedValues,
  valuePairs,
} from './hostile-values.ts';
import { METADATA_KEYS, metadataValues } from './metadata-values.ts';
import type { Sandbox } from './sandbox.ts';
import { type Seed, type SeedContext, seedFor } from './seeds.ts';
import { fieldText, hasPlaceFor, isString, type TextField, textFields, withText } from './text-fields.ts';

export interface PlanOptions {
  /** Values tried for each field; `Infinity` for all, joined and alone. */
  readonly perField: number;
  /** Of the choice, when not all are tried. */
  readonly seed: number;
  /** Beginning of the fields to try; `metadata:` for metadata only. Default: all. */
  readonly fields?: string;
  /** True if values may name hosts, because only loopback can be reached. */
  readonly isIsolated: boolean;
}

/** Fields and metadata that make the server connect to an address. */
const NAMES_HOST = /(?:^|[._:-])(?:url|uri|host|ntp_host|address|servers|resolved_address)$/;
/** Prefix of the key of metadata in place of a field. */
const METADATA = 'metadata:';
/** More values than this are not tried for a key of metadata. */
const MAX_PER_KEY = 8;
/** Keys tried for each method if there are few values for each field. */
const KEYS = 2;
const FEW_PER_FIELD = 8;

/** Longer values find nothing more when they are joined. */
const MAX_JOINED = 1000;
/** Repositories are in every request and are always treated alike. */
const IN_REPOSITORY = /(?:^|[._])repository\.[a-z_]*$/;
/** Any directory of the storage, which the call then may remove; its own tests try such names. */
const NAMES_DIRECTORY = /\.NamespaceService\/\w+ (?:name|from|to)$/;
/** A user's name and similar, too. */
const IN_USER = /(?:^|\.)(?:user|author|committer)\.[a-z_]+$/;

/**
 * Lists the calls of a method with a hostile value in one field each. The same seed gives the same
 * calls.
 */
export function* hostileCalls(
  method: MethodInfo,
  sandbox: Sandbox,
  targetOf: (method: MethodInfo) => string,
  { fields = '', isIsolated, perField, seed }: PlanOptions,
): Generator<HostileCall> {
  const values = hostileValues(sandbox);
  for (const field of attackedFields(method, isIsolated)) {
    if (!field.path.startsWith(fields)) continue;
    const random = seededRandom(`${seed} ${method.path} ${field.path}`);
    const isCommon = isInMany(field);
    const valid = validText(method, sandbox, field);
    const joined = isCommon ? [] : joinedValues(values.filter(isShort), valid);
    const count = perField / (isCommon ? 4 : 2);
    const essential = isCommon ? [] : essentialValues(sandbox, valid);
    for (const value of [...essential, ...choose(values, count, random), ...choose(joined, count, random)])
      yield callWith(method, sandbox, field.path, value, targetOf(method));
  }
  const parents = method.path.includes('.NamespaceService/') ? [] : textFields(method.input).map(parentOf);
  for (const parent of new Set(parents))
    for (const pair of fields !== '' || IN_REPOSITORY.test(`${parent}.`) ? [] : valuePairs(sandbox))
      if (isIsolated || !textFields(method.input).some(({ path }) => NAMES_HOST.test(path)))
        yield callWith(method, sandbox, `${parent}.*`, joinPair(pair), targetOf(method));
  if (fields !== '' && !fields.startsWith(METADATA)) return;
  const random = seededRandom(`${seed} ${method.path} metadata`);
  const keys = METADATA_KEYS.filter((key) => `${METADATA}${key}`.startsWith(fields)).filter(
    (key) => isIsolated || !NAMES_HOST.test(key),
  );
  const perKey = Math.ceil(Math.min(MAX_PER_KEY, perField / FEW_PER_FIELD));
  for (const key of perField > FEW_PER_FIELD ? keys : choose(keys, KEYS, random))
    for (const value of choose(metadataValues(key, sandbox, values), perKey, random))
      yield callWith(method, sandbox, `${METADATA}${key}`, value, targetOf(method));
}

/** Lists the fields that get hostile values. */
export function attackedFields(method: MethodInfo, isIsolated: boolean): TextField[] {
  return textFields(method.input)
    .filter(({ path }) => !NAMES_DIRECTORY.test(`${method.path} ${path}`))
    .filter(({ path }) => isIsolated || !NAMES_HOST.test(path));
}

/** Reports whether a field is in the requests of many methods, which treat it alike. */
export function isInMany({ path }: TextField): boolean {
  return IN_REPOSITORY.test(path) || IN_USER.test(path);
}

/** Returns a call whose requests are valid. */
export function validCall(method: MethodInfo, sandbox: Sandbox, relativePath: string): HostileCall {
  const requests = seedFor(method, seedContext(sandbox, relativePath));
  return { method, field: '', index: 0, requests, value: Buffer.alloc(0), isRaw: false, relativePath };
}

/**
 * Returns the call of a method with a value in one field; for `metadata:<key>` in the metadata; for
 * `<message>.*` with two values by turns in all fields of a message.
 *
 * @throws when the method has no such field.
 */
export function callWith(
  method: MethodInfo,
  sandbox: Sandbox,
  path: string,
  value: HostileValue,
  relativePath: string,
): HostileCall {
  if (path.startsWith(METADATA)) {
    const key = path.slice(METADATA.length);
    const metadata = { [key]: key.endsWith('-bin') ? Buffer.from(value) : Buffer.from(value).toString() };
    return { ...validCall(method, sandbox, relativePath), field: path, value: Buffer.from(value), metadata };
  }
  const fields = textFields(method.input).filter((field) =>
    path.endsWith('*') ? parentOf(field) === path.slice(0, -2) && !isForGit(field) : field.path === path,
  );
  const [first] = fields;
  if (first === undefined) throw new Error(`${method.path} has no field ${path}`);
  const requests = seedFor(method, seedContext(sandbox, relativePath), path);
  const index = placeOf(requests, first);
  const pair = path.endsWith('*') ? splitPair(Buffer.from(value)) : [Buffer.from(value)];
  const isRaw = pair.length === 1 && isString(first) && !isUtf8(Buffer.from(value));
  let request = requests[index] ?? {};
  for (const [at, field] of fields.entries()) {
    const bytes = pair[at % pair.length] ?? Buffer.alloc(0);
    const text = isRaw ? placeholder(bytes) : isString(field) ? bytes.toString() : bytes;
    request = withText(request, field, text);
  }
  const changed = requests.map((each, at) => (at === index ? request : each));
  return { method, field: path, index, requests: changed, value: Buffer.from(value), isRaw, relativePath };
}

function seedContext({ addresses, bundle, ids }: Sandbox, relativePath: string): SeedContext {
  return { ids, addresses, bundle, relativePath };
}

/** Words that the caller may choose, see findings. */
function isForGit({ path }: TextField): boolean {
  return /(?:^|\.)(?:args|git_config_options)$/.test(path);
}

function parentOf({ path }: TextField): string {
  return path.slice(0, Math.max(0, path.lastIndexOf('.')));
}

/** No value holds it. */
const BETWEEN = '\x01';

function joinPair(pair: readonly HostileValue[]): Buffer {
  return Buffer.from(pair.map((value) => Buffer.from(value).toString('latin1')).join(BETWEEN), 'latin1');
}

function splitPair(joined: Buffer): Buffer[] {
  return joined
    .toString('latin1')
    .split(BETWEEN)
    .map((value) => Buffer.from(value, 'latin1'));
}

function isShort(value: HostileValue): boolean {
  return value.length < MAX_JOINED;
}

/** Returns what the field holds in a valid request. */
function validText(method: MethodInfo, sandbox: Sandbox, field: TextField): Buffer {
  const requests = seedFor(method, seedContext(sandbox, 'x.git'), field.path);
  const request = requests[placeOf(requests, field)];
  return request === undefined ? Buffer.alloc(0) : fieldText(request, field);
}

/** The request of a stream that has what contains the field. */
function placeOf(requests: Seed, field: TextField): number {
  return Math.max(
    0,
    requests.findIndex((request) => hasPlaceFor(request, field)),
  );
}

function choose<T>(items: readonly T[], count: number, random: () => number): readonly T[] {
  if (count >= items.length) return items;
  const chosen = Array.from({ length: Math.ceil(count) }, () => items[Math.floor(random() * items.length)]);
  return chosen.filter((item) => item !== undefined);
}

/** Numbers from 0 to 1 (mulberry32), the same for the same text. */
function seededRandom(text: string): () => number {
  let state = 0;
  for (const character of text) state = (Math.imul(state, 31) + (character.codePointAt(0) ?? 0)) | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
