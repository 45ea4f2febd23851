import type { MethodInfo } from '#wire/method-info';
import { methodByPath } from '#wire/methods';
import type { HostileCall } from './caller.ts';
import { callWith } from './plan.ts';
import type { Sandbox } from './sandbox.ts';

/** Represents the directory of the sandbox, which is another in each run. */
const SANDBOX = '<SANDBOX>';

/** Returns a call as one line of JSON, for {@link fromReplay}. Bytes are written as Latin-1. */
export function toReplay({ method, field, value }: HostileCall, { directory }: Sandbox): string {
  const text = value.toString('latin1').replaceAll(directory, SANDBOX);
  return JSON.stringify({ rpc: method.path, field, value: text });
}

/** Makes a call again. @throws when there is no such method or field. */
export function fromReplay(
  json: string,
  sandbox: Sandbox,
  targetOf: (method: MethodInfo) => string,
): HostileCall {
  // As toReplay writes it; whoever changes it by hand sees what comes of it.
  const { rpc = '', field = '', value = '' } = JSON.parse(json) as Readonly<Record<string, string>>;
  const method = methodByPath(rpc);
  if (method === undefined) throw new Error(`no such method: ${rpc}`);
  const bytes = Buffer.from(value.replaceAll(SANDBOX, sandbox.directory), 'latin1');
  return callWith(method, sandbox, field, bytes, targetOf(method));
}
