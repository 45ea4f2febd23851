import type { DescMessage, DescMethod } from '@bufbuild/protobuf';
import { type MethodKind, methodInfo } from '#wire/method-info';

/** The part of a method that the transport uses. */
export interface MethodName {
  /** For example `/gitaly.CommitService/FindCommit`. */
  readonly path: string;
  readonly kind: MethodKind;
}

/** The part of a method that a client uses. A `MethodInfo` has it, without the message types. */
export interface CallableMethod<I extends DescMessage = DescMessage, O extends DescMessage = DescMessage>
  extends MethodName {
  readonly input: I;
  readonly output: O;
}

/** Returns the callable form of a generated method, with its message types. */
export function callable<M extends DescMethod>(desc: M): CallableMethod<M['input'], M['output']> {
  // it comes from the same descriptor, so input and output have the declared types
  return methodInfo(desc);
}
