import type { DescMessage, DescMethod } from '@bufbuild/protobuf';
import { type MethodKind, methodInfo } from '#wire/method-info';

/** What the transport needs to know of a method. */
export interface MethodName {
  /** For example `/gitaly.CommitService/FindCommit`. */
  readonly path: string;
  readonly kind: MethodKind;
}

/** What a client needs to know of a method. A `MethodInfo` is one, with the message types forgotten. */
export interface CallableMethod<I extends DescMessage = DescMessage, O extends DescMessage = DescMessage> extends MethodName {
  readonly input: I;
  readonly output: O;
}

/** The callable form of a generated method, with its message types. */
export function callable<M extends DescMethod>(desc: M): CallableMethod<M['input'], M['output']> {
  return methodInfo(desc); // made from the same descriptor, so input and output are the ones that the type says
}
