import { messageOf } from '#base/gitaly-error';
import { describeJsonError } from '#base/json-error';
import type { RepositoryTarget } from '#storage/repository-target';
import { type Transaction, transactionFromJson, transactionToJson } from '../transactions/transaction.ts';

/** Who pushes. */
export interface PushUser {
  /** Name to show. */
  readonly username: string;
  /** `user-1`, `key-2`; GitLab's id of who pushes. */
  readonly userId: string;
  /** `ssh`, `http` or `web`. */
  readonly protocol: string;
  readonly remoteIp: string;
}

/** A feature flag as the payload carries it. */
export interface PayloadFlag {
  readonly name: string;
  readonly onByDefault: boolean;
  readonly enabled: boolean;
}

/** What a hook has to know about the call that made git run it. */
export interface HooksPayload {
  /** Bits of {@link HOOK_BITS}. */
  readonly requestedHooks: number;
  readonly featureFlags: readonly PayloadFlag[];
  readonly repository: RepositoryTarget;
  /** `sha1` or `sha256`; anything else is refused by the hooks that need it. */
  readonly objectFormat: string;
  readonly runtimeDirectory: string;
  /** Where a hook dials, and the token for it. */
  readonly internalSocket: string;
  readonly internalSocketToken: string;
  readonly transaction: Transaction | undefined;
  readonly user: PushUser | undefined;
  /** Write-ahead transaction; 0 for none. */
  readonly transactionId: number;
  /** Opaque bytes that go back to GitLab's internal API. */
  readonly clientContext: Buffer | undefined;
}

export const HOOKS_PAYLOAD_VARIABLE = 'GITALY_HOOKS_PAYLOAD';

/** The bits by which a payload says which hooks may do something. */
export const HOOK_BITS = {
  'reference-transaction': 1,
  update: 2,
  'pre-receive': 4,
  'post-receive': 8,
  'pack-objects': 16,
  'proc-receive': 32,
} as const;

const FLAG_HEADER_PREFIX = 'gitaly-feature-';

/** What an absent or empty set of requested hooks stands for: all but proc-receive. */
const DEFAULT_HOOKS = 31;

/** A payload as the value of the environment variable: base64 of JSON. */
export function encodeHooksPayload(payload: HooksPayload): string {
  const { user, transaction, clientContext } = payload;
  const json = {
    requested_hooks: payload.requestedHooks,
    feature_flags_with_value: payload.featureFlags.map(({ name, onByDefault, enabled }) => {
      return { flag: { name, on_by_default: onByDefault }, enabled };
    }),
    repository: JSON.stringify(payload.repository),
    object_format: payload.objectFormat,
    runtime_dir: payload.runtimeDirectory,
    internal_socket: payload.internalSocket,
    internal_socket_token: payload.internalSocketToken,
    transaction: transaction === undefined ? null : transactionToJson(transaction),
    user_details:
      user === undefined
        ? null
        : { username: user.username, userid: user.userId, protocol: user.protocol, remote_ip: user.remoteIp },
    transaction_id: payload.transactionId,
    gitaly_client_context: clientContext?.toString('base64') ?? null,
  };
  return Buffer.from(JSON.stringify(json)).toString('base64');
}

/**
 * Finds and reads the payload in a list of `NAME=value`; the first one counts. That of Gitaly 15.0 is understood too, where the user
 * and the flags have other names.
 *
 * @throws {Error} with Gitaly's words: `no hooks payload found in environment`, `illegal base64 data at input byte N`, those of
 *   Go's JSON decoder, those of its protobuf for the repository.
 */
export function decodeHooksPayload(environment: readonly string[]): HooksPayload {
  const prefix = `${HOOKS_PAYLOAD_VARIABLE}=`;
  const entry = environment.find((variable) => variable.startsWith(prefix));
  if (entry === undefined) throw new Error('no hooks payload found in environment');
  const document = decodeBase64(entry.slice(prefix.length)).toString();
  const fields = record(parseJson(document));
  const repository = repositoryFromJson(typeof fields.repository === 'string' ? fields.repository : '');
  const transaction = fields.transaction;
  return {
    requestedHooks: number(fields.requested_hooks) || DEFAULT_HOOKS,
    featureFlags: [...list(fields.feature_flags_with_value).map(flagFromJson), ...oldFlags(fields.feature_flags)],
    repository,
    objectFormat: text(fields.object_format),
    runtimeDirectory: text(fields.runtime_dir),
    internalSocket: text(fields.internal_socket),
    internalSocketToken: text(fields.internal_socket_token),
    transaction: transaction === undefined || transaction === null ? undefined : transactionFromJson(transaction),
    user: userFromJson(fields.user_details ?? fields.receive_hooks_payload),
    transactionId: number(fields.transaction_id),
    clientContext: bytes(fields.gitaly_client_context),
  };
}

function userFromJson(json: unknown): PushUser | undefined {
  if (json === undefined || json === null) return undefined;
  const fields = record(json);
  return {
    username: text(fields.username),
    userId: text(fields.userid),
    protocol: text(fields.protocol),
    remoteIp: text(fields.remote_ip),
  };
}

function flagFromJson(json: unknown): PayloadFlag {
  const fields = record(json);
  const flag = record(fields.flag);
  return { name: text(flag.name), onByDefault: flag.on_by_default === true, enabled: fields.enabled === true };
}

/** Flags as Gitaly 15.0 writes them: headers, with their values. What a flag is without them is not said. */
function oldFlags(json: unknown): PayloadFlag[] {
  return Object.entries(record(json)).flatMap(([header, value]) => {
    if (!header.startsWith(FLAG_HEADER_PREFIX)) return [];
    const name = header.slice(FLAG_HEADER_PREFIX.length).replaceAll('-', '_');
    return [{ name, onByDefault: false, enabled: value === 'true' }];
  });
}

/** Reads a repository in the JSON form of protobuf, where a field may be spelled in camel or in snake case. */
function repositoryFromJson(document: string): RepositoryTarget {
  const broken = describeJsonError(document, 'stream');
  if (broken === 'unexpected EOF') throw new Error('proto:\u00a0unexpected EOF');
  if (broken !== undefined) {
    throw new Error(`proto:\u00a0syntax error (line 1:1): unexpected token ${document.trim().slice(0, 1)}`);
  }
  const fields = record(JSON.parse(document));
  const either = (camel: string, snake: string): unknown => fields[camel] ?? fields[snake];
  return {
    storageName: text(either('storageName', 'storage_name')),
    relativePath: text(either('relativePath', 'relative_path')),
    gitObjectDirectory: text(either('gitObjectDirectory', 'git_object_directory')),
    gitAlternateObjectDirectories: list(either('gitAlternateObjectDirectories', 'git_alternate_object_directories')).map(text),
    glRepository: text(either('glRepository', 'gl_repository')),
    glProjectPath: text(either('glProjectPath', 'gl_project_path')),
  };
}

function decodeBase64(value: string): Buffer {
  const clean = value.replace(/[\r\n]/g, '');
  const illegal = clean.search(/[^A-Za-z0-9+/]/);
  const digits = illegal === -1 ? clean.length : illegal;
  const wanted = '='.repeat((4 - (digits % 4)) % 4);
  if (clean.slice(digits) !== wanted || digits % 4 === 1) {
    throw new Error(`illegal base64 data at input byte ${clean.slice(digits, digits + 1) === '=' ? digits + 1 : digits}`);
  }
  return Buffer.from(clean, 'base64');
}

function parseJson(document: string): unknown {
  try {
    return JSON.parse(document);
  } catch (error) {
    throw new Error(describeJsonError(document, 'document') ?? messageOf(error), { cause: error });
  }
}

function record(json: unknown): Readonly<Record<string, unknown>> {
  return typeof json === 'object' && json !== null ? { ...json } : {};
}

function list(json: unknown): readonly unknown[] {
  return Array.isArray(json) ? json : [];
}

function text(json: unknown): string {
  return typeof json === 'string' ? json : '';
}

function number(json: unknown): number {
  return typeof json === 'number' ? json : 0;
}

function bytes(json: unknown): Buffer | undefined {
  return typeof json === 'string' && json !== '' ? Buffer.from(json, 'base64') : undefined;
}
