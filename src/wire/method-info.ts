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
import { repositoryReader, stringReader, stringWriter } from './annotated-field.ts';

/** The releases of the interface that this project implements. */
export type InterfaceVersion = '15.0' | '16.7' | '19.0';
export type MethodKind = 'unary' | 'server_stream' | 'client_stream' | 'bidi_stream';
export type Operation = 'accessor' | 'mutator' | 'maintenance' | 'unknown';
export type Scope = 'repository' | 'storage' | 'partition' | 'none';

/**
 * Facts about a method for the server, the client and a cluster proxy, read from the descriptors.
 * There is one object per method; compare by identity.
 */
export interface MethodInfo {
  /** The HTTP/2 `:path`, for example `/gitaly.CommitService/FindCommit`. */
  readonly path: string;
  /** Full name, for example `gitaly.CommitService`. */
  readonly service: string;
  readonly name: string;
  readonly kind: MethodKind;
  /** `unknown` for methods that a cluster proxy never forwards (they have no `op_type`). */
  readonly operation: Operation;
  /** Scope of the call; `none` if the operation is `unknown`. */
  readonly scope: Scope;
  /** True if a cluster proxy implements the method itself. */
  readonly intercepted: boolean;
  readonly deprecated: boolean;
  /** First release that has it. */
  readonly since: InterfaceVersion;
  /** Last release that has it; `undefined` if the newest one does. It is served in either case. */
  readonly until: InterfaceVersion | undefined;
  readonly input: DescMessage;
  readonly output: DescMessage;
  readonly desc: DescMethod;
  /**
   * Returns the repository that the call works on, as the object in the request. In a stream only
   * the first request has it.
   */
  targetRepository(request: Message): Repository | undefined;
  /**
   * Returns a second repository that the call needs, such as the origin of a pool, as the object in
   * the request.
   */
  additionalRepository(request: Message): Repository | undefined;
  /**
   * Returns the storage named by a call of storage or partition scope; `undefined` if the request
   * has no such field.
   */
  targetStorage(request: Message): string | undefined;
  /** Changes the storage of a request that has the field. */
  setTargetStorage(request: Message, storage: string): void;
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
/**
 * Returns the facts of a method. Methods of other packages (health, reflection) have operation
 * `unknown` and scope `none`.
 */
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
  // To read an option that is not set takes 20 µs, which each start would pay for all methods.
  const operation = hasOption(desc, op_type) ? getOption(desc, op_type) : undefined;
  return Object.freeze({
    path: pathOf(desc),
    service: desc.parent.typeName,
    name: desc.name,
    kind: KINDS[desc.methodKind],
    operation: operation ? OPERATIONS[operation.op] : 'unknown',
    scope: operation ? SCOPES[operation.scopeLevel] : 'none',
    intercepted:
      (hasOption(desc.parent, intercepted) && getOption(desc.parent, intercepted)) ||
      (hasOption(desc, intercepted_method) && getOption(desc, intercepted_method)),
    deprecated: desc.deprecated,
    since: hasOption(desc, since) ? parseVersion(getOption(desc, since)) : '15.0',
    until: hasOption(desc, until) ? parseVersion(getOption(desc, until)) : undefined,
    input: desc.input,
    output: desc.output,
    desc,
    targetRepository: repositoryReader(desc.input, target_repository),
    additionalRepository: repositoryReader(desc.input, additional_repository),
    targetStorage: stringReader(desc.input, storage),
    setTargetStorage: stringWriter(desc.input, storage),
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
