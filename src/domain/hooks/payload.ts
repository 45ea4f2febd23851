import { parseWithExactIntegers } from '#base/exact-integers';
import { messageOf } from '#base/gitaly-error';
import { decodeBase64 } from '#base/go/encoding/decode-base64';
import { describeJsonError } from '#base/go/encoding/json-error';
import { JsonFields } from '#base/json-fields';
import type { RepositoryTarget } from '#storage/repository-target';
import { type Transaction, transactionFromJson } from '../transactions/transaction.ts';

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

/** Facts that a hook needs about the call that made git run it. */
export interface HooksPayload {
  /** Bits of {@link HOOK_BITS}. */
  readonly requestedHooks: number;
  readonly featureFlags: readonly PayloadFlag[];
  readonly repository: RepositoryTarget;
  /** `sha1` or `sha256`; anything else is refused by the hooks that need it. */
  readonly objectFormat: string;
  readonly runtimeDirectory: string;
  /** Socket that a hook connects to, and the token for it. */
  readonly internalSocket: string;
  readonly internalSocketToken: string;
  readonly transaction: Transaction | undefined;
  readonly user: PushUser | undefined;
  /** Write-ahead transaction; 0 for none. */
  readonly transactionId: number;
  /** Opaque bytes that go back to GitLab's internal API. */
  readonly clientContext: Buffer | undefined;
}

/** The fields of a payload that hooks in this process need; the others are for the hook program. */
export type HookFacts = Pick<
  HooksPayload,
  'repository' | 'objectFormat' | 'transaction' | 'user' | 'clientContext'
>;

export const HOOKS_PAYLOAD_VARIABLE = 'GITALY_HOOKS_PAYLOAD';

/** The bits by which a payload shows which hooks may do something. */
export const HOOK_BITS = {
  'reference-transaction': 1,
  update: 2,
  'pre-receive': 4,
  'post-receive': 8,
  'pack-objects': 16,
  'proc-receive': 32,
} as const;

const FLAG_HEADER_PREFIX = 'gitaly-feature-';

/** Meaning of an absent or empty set of requested hooks: all but proc-receive. */
const DEFAULT_HOOKS = 31;

/**
 * Finds and reads the payload in a list of `NAME=value`; the first one counts. That of Gitaly 15.0
 * is understood too, where the user and the flags have other names.
 *
 * @throws {Error} with Gitaly's words: `no hooks payload found in environment`,
 *   `illegal base64 data at input byte N`, those of Go's JSON decoder, those of its protobuf for
 *   the repository.
 */
export function decodeHooksPayload(environment: readonly string[]): HooksPayload {
  const prefix = `${HOOKS_PAYLOAD_VARIABLE}=`;
  const entry = environment.find((variable) => variable.startsWith(prefix));
  if (entry === undefined) throw new Error('no hooks payload found in environment');
  const document = decodeBase64(entry.slice(prefix.length)).toString();
  const fields = fieldsOf(parseJson(document));
  const repository = repositoryFromJson(fields.text('repository') ?? '');
  const transaction = fields.value('transaction');
  return {
    requestedHooks: fields.number('requested_hooks') || DEFAULT_HOOKS,
    featureFlags: [
      ...(fields.list('feature_flags_with_value') ?? []).map(flagFromJson),
      ...oldFlags(fields.object('feature_flags')),
    ],
    repository,
    objectFormat: fields.text('object_format') ?? '',
    runtimeDirectory: fields.text('runtime_dir') ?? '',
    internalSocket: fields.text('internal_socket') ?? '',
    internalSocketToken: fields.text('internal_socket_token') ?? '',
    transaction:
      transaction === undefined || transaction === null ? undefined : transactionFromJson(transaction),
    user: userFromJson(fields.value('user_details') ?? fields.value('receive_hooks_payload')),
    transactionId: fields.number('transaction_id') ?? 0,
    clientContext: bytes(fields.text('gitaly_client_context')),
  };
}

function userFromJson(json: unknown): PushUser | undefined {
  if (json === undefined || json === null) return undefined;
  const fields = fieldsOf(json);
  return {
    username: fields.text('username') ?? '',
    userId: fields.text('userid') ?? '',
    protocol: fields.text('protocol') ?? '',
    remoteIp: fields.text('remote_ip') ?? '',
  };
}

function flagFromJson(json: unknown): PayloadFlag {
  const fields = fieldsOf(json);
  const flag = fields.object('flag');
  return {
    name: flag?.text('name') ?? '',
    onByDefault: flag?.flag('on_by_default') === true,
    enabled: fields.flag('enabled') === true,
  };
}

/**
 * Reads flags in the form of Gitaly 15.0: headers with values. The default of an absent flag is
 * unknown.
 */
function oldFlags(flags: JsonFields = JsonFields.NONE): PayloadFlag[] {
  return flags.entries().flatMap(([header, value]) => {
    if (!header.startsWith(FLAG_HEADER_PREFIX)) return [];
    const name = header.slice(FLAG_HEADER_PREFIX.length).replaceAll('-', '_');
    return [{ name, onByDefault: false, enabled: value === 'true' }];
  });
}

/**
 * Reads a repository in the JSON form of protobuf, where a field may be spelled in camel or in
 * snake case.
 */
function repositoryFromJson(document: string): RepositoryTarget {
  const broken = describeJsonError(document, 'stream');
  if (broken === 'unexpected EOF') throw new Error('proto:\u00a0unexpected EOF');
  if (broken !== undefined) {
    throw new Error(`proto:\u00a0syntax error (line 1:1): unexpected token ${document.trim().slice(0, 1)}`);
  }
  const fields = JsonFields.parse(document) ?? JsonFields.NONE;
  const text = (camel: string, snake: string): string => fields.text(camel) ?? fields.text(snake) ?? '';
  const directories =
    fields.list('gitAlternateObjectDirectories') ?? fields.list('git_alternate_object_directories') ?? [];
  return {
    storageName: text('storageName', 'storage_name'),
    relativePath: text('relativePath', 'relative_path'),
    gitObjectDirectory: text('gitObjectDirectory', 'git_object_directory'),
    gitAlternateObjectDirectories: directories.map((each) => (typeof each === 'string' ? each : '')),
    glRepository: text('glRepository', 'gl_repository'),
    glProjectPath: text('glProjectPath', 'gl_project_path'),
  };
}

function parseJson(document: string): unknown {
  try {
    return parseWithExactIntegers(document);
  } catch (error) {
    throw new Error(describeJsonError(document, 'document') ?? messageOf(error), { cause: error });
  }
}

function fieldsOf(json: unknown): JsonFields {
  return JsonFields.of(json) ?? JsonFields.NONE;
}

function bytes(base64: string | undefined): Buffer | undefined {
  return base64 === undefined || base64 === '' ? undefined : Buffer.from(base64, 'base64');
}
