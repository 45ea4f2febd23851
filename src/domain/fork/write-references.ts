import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import { LoopSlice } from '#base/async/loop-turns';
import { PACKED_REFS_HEADER } from '#git/refs/storage/files/packed-refs';
import type { ListedRef } from '#git/refs/storage/listed-ref';
import type { GitRepository } from '#git/repository';

const FILE_MODE = 0o644;

export interface WriteReferencesOptions {
  /** Prefixes or full names of the references. */
  readonly patterns: readonly Buffer[];
  readonly signal: AbortSignal;
}

/**
 * Writes references of a repository into a new file in the format of `packed-refs`. Symbolic ones
 * get the value of their target.
 *
 * @returns SHA-256 of the file.
 * @throws {GitExitError} when git finds the references broken; the file is then incomplete.
 */
export async function writeReferences(
  source: GitRepository,
  path: string,
  { patterns, signal }: WriteReferencesOptions,
): Promise<string> {
  const hash = createHash('sha256');
  await using file = await open(path, 'wx', FILE_MODE);
  const slice = new LoopSlice();
  const write = async (text: string): Promise<void> => {
    const bytes = Buffer.from(text, 'latin1');
    hash.update(bytes);
    await file.writeFile(bytes);
    await slice.pause(signal);
  };
  await write(PACKED_REFS_HEADER);
  for await (const refs of source.refs.list({ patterns }, { peel: true, signal }))
    if (refs.length > 0) await write(refs.map(lineOf).join(''));
  return hash.digest('hex');
}

function lineOf({ name, oid, peeledOid }: ListedRef): string {
  const peeled = peeledOid === undefined ? '' : `^${peeledOid}\n`;
  return `${oid} ${name.toString('latin1')}\n${peeled}`;
}
