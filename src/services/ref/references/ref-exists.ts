import { invalidArgument } from '#base/gitaly-error';
import type { Handlers } from '../dependencies.ts';

const NAMESPACE = Buffer.from('refs/');

/** Reports whether a reference of exactly this name exists. An invalid name counts as missing. */
export const refExists: Handlers['refExists'] = async (request, context, deps) => {
  const { refs } = deps.storages.open(request.repository);
  if (!NAMESPACE.equals(request.ref.subarray(0, NAMESPACE.length))) throw invalidArgument('invalid refname');

  return { value: await refs.exists(request.ref, { signal: context.signal }) };
};
