import { LoopSlice } from '#base/async/loop-turns';
import { HEAD } from '#git/names/ref-name';
import type { RecordedRepository } from '#git/refs/update/ref-change-recorder';

/**
 * The value of a reference: an object id, or `ref: <name>` for HEAD; `undefined` if it does not
 * exist.
 */
export type ReferenceValue = string | undefined;

const HEAD_NAME = HEAD.toString();

/** Returns the current value of a reference. @param name one character per byte. */
export async function readValue({ refs }: RecordedRepository, name: string): Promise<ReferenceValue> {
  if (name !== HEAD_NAME) return (await refs.resolve(Buffer.from(name, 'latin1')))?.oid;
  const head = await refs.head();
  return head.oid ?? `ref: ${head.symbolicTarget?.toString('latin1')}`;
}

/** Returns the current value of a reference, and the target of a symbolic one. */
export async function readRaw(
  repository: RecordedRepository,
  name: string,
): Promise<{ readonly value: ReferenceValue; readonly target?: string }> {
  const raw = await repository.refs.read(Buffer.from(name, 'latin1'));
  if (raw?.symbolicTarget === undefined) return { value: raw?.oid };
  return { value: await readValue(repository, name), target: raw.symbolicTarget.toString('latin1') };
}

/**
 * Returns the values of HEAD and of all references; `undefined` if there are more than a limit.
 */
export async function listValues(
  repository: RecordedRepository,
  limit: number,
): Promise<Map<string, string> | undefined> {
  const values = new Map<string, string>();
  const head = await readValue(repository, HEAD_NAME);
  if (head !== undefined) values.set(HEAD_NAME, head);
  const slice = new LoopSlice();
  for await (const refs of repository.refs.list({ patterns: ['refs/'], limit: limit + 1 })) {
    for (const { name, oid } of refs) values.set(name.toString('latin1'), oid);
    await slice.pause();
    if (values.size > limit + 1) return undefined;
  }
  return values;
}
