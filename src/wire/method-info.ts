import { type DescMessage, type DescMethod, getOption, hasOption, type Message } from '@bufbuild/protobuf';
import {
  additional_repository,
  intercepted,
  intercepted_method,
  OperationMsg_Operation,
  OperationMsg_Scope,
  op_type,
  storage,
  target_repository,
} from '#wire/gen/lint_pb';
import type { Repository } from '#wire/gen/shared_pb';
import { since, until } from '#wire/gen/versions_pb';
import { repositoryReader, stringReader } from './annotated-field.ts';

/** The releases of the interface that this project serves. */
export type InterfaceVersion = '15.0' | '16.7' | '19.0';
export type MethodKind = 'unary' | 'server_stream' | 'client_stream' | 'bidi_stream';
export type Operation = 'accessor' | 'mutator' | 'maintenance' | 'unknown';
export type Scope = 'repository' | 'storage' | 'partition' | 'none';

/**
 * What the server, the client and a cluster proxy need to know about a method, all of it from the descriptors.
 * One object per method, made once; compare by identity.
 */
export interface MethodInfo {
  /** As in the HTTP/2 `:path`, for example `/gitaly.CommitService/FindCommit`. */
  readonly path: string;
  /** Full name, for example `gitaly.CommitService`. */
  readonly service: string;
  readonly name: string;
  readonly kind: MethodKind;
  /** `unknown` for methods that no cluster proxy forwards (they carry no `op_type`). */
  readonly operation: Operation;
  /** What the call addresses; `none` goes with the operation `unknown`. */
  readonly scope: Scope;
  /** A cluster proxy answers it itself. */
  readonly intercepted: boolean;
  readonly deprecated: boolean;
  /** First release that has it. */
  readonly since: InterfaceVersion;
  /** Last release that has it; `undefined` when the newest one does. It is served all the same. */
  readonly until: InterfaceVersion | undefined;
  readonly input: DescMessage;
  readonly output: DescMessage;
  readonly desc: DescMethod;
  /** The repository the call works on, the very object in the request. Of a stream only the first request has it. */
  targetRepository(request: Message): Repository | undefined;
  /** A second repository that the call needs, such as the origin of a pool; the very object in the request. */
  additionalRepository(request: Message): Repository | undefined;
  /** The storage that a call of storage or partition scope names; `undefined` when the request has no such field. */
  targetStorage(request: Message): string | undefined;
}

const KINDS = {
  unary: 'unary',
  server_streaming: 'server_stream',
  client_streaming: 'client_stream',
  bidi_streaming: 'bidi_stream',
} as const satisfies Record<DescMethod['methodKind'], MethodKind>;

const OPERATIONS = {
  [OperationMsg_Operation.UNKNOWN]: 'unknown',
  [OperationMsg_Operation.MUTATOR]: 'mutator',
  [OperationMsg_Operation.ACCESSOR]: 'accessor',
  [OperationMsg_Operation.MAINTENANCE]: 'maintenance',
} as const satisfies Record<OperationMsg_Operation, Operation>;

const SCOPES = {
  [OperationMsg_Scope.REPOSITORY]: 'repository',
  [OperationMsg_Scope.STORAGE]: 'storage',
  [OperationMsg_Scope.PARTITION]: 'partition',
} as const satisfies Record<OperationMsg_Scope, Scope>;

const infos = new WeakMap<DescMethod, MethodInfo>();
/** The facts of a method. Methods of other packages (health, reflection) have operation `unknown` and scope `none`. */
export function methodInfo(desc: DescMethod): MethodInfo {
  const known = infos.get(desc);
  if (known) return known;
  const info = readInfo(desc);
  infos.set(desc, info);
  return info;
}

function pathOf(desc: DescMethod): string {
  return `/${desc.parent.typeName}/${desc.name}`;
}

function readInfo(desc: DescMethod): MethodInfo {
  const operation = hasOption(desc, op_type) ? getOption(desc, op_type) : undefined;
  return Object.freeze({
    path: pathOf(desc),
    service: desc.parent.typeName,
    name: desc.name,
    kind: KINDS[desc.methodKind],
    operation: operation ? OPERATIONS[operation.op] : 'unknown',
    scope: operation ? SCOPES[operation.scopeLevel] : 'none',
    intercepted: getOption(desc.parent, intercepted) || getOption(desc, intercepted_method),
    deprecated: desc.deprecated,
    since: parseVersion(getOption(desc, since) || '15.0'),
    until: hasOption(desc, until) ? parseVersion(getOption(desc, until)) : undefined,
    input: desc.input,
    output: desc.output,
    desc,
    targetRepository: repositoryReader(desc.input, target_repository),
    additionalRepository: repositoryReader(desc.input, additional_repository),
    targetStorage: stringReader(desc.input, storage),
  });
}

function parseVersion(text: string): InterfaceVersion {
  switch (text) {
    case '15.0':
    case '16.7':
    case '19.0':
      return text;
    default:
      throw new Error(`unknown version of the interface: ${text}`);
  }
}
