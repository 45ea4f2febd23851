import { Sha1Xor } from '#base/sha1-xor';
import { HEAD } from '#git/names/ref-name';
import { addChecksumLine, isChecksumLine } from '../checksum-lines.ts';
import { followRef } from '../follow-ref.ts';
import type { RefSum } from '../ref-storage.ts';
import { listStack } from './list-stack.ts';
import type { Stack } from './stack.ts';

const NAMESPACE = Buffer.from('refs/');

/** Sums of stacks, which never change. */
const known = new WeakMap<Stack, Promise<RefSum>>();

/**
 * Sums up the lines of the references of a stack whose files are held. Objects of references that
 * are not symbolic need not be looked up, as with packed ones.
 *
 * @throws {FallBackToGit} when only git knows the lines.
 */
export function sumStack(stack: Stack): Promise<RefSum> {
  const summed = known.get(stack) ?? sum(stack);
  known.set(stack, summed);
  // A table may have been unreadable only at that time.
  summed.catch(() => known.delete(stack));
  return summed;
}

async function sum(stack: Stack): Promise<RefSum> {
  using _ = stack.hold();
  const xor = new Sha1Xor();
  const head = followRef((name) => stack.read(name), HEAD);
  if (head !== undefined) addChecksumLine(xor, head.oid, HEAD);
  for await (const refs of listStack(stack, { patterns: [NAMESPACE] }))
    for (const { name, oid } of refs)
      if (isChecksumLine(name.toString('latin1'))) addChecksumLine(xor, oid, name);
  return { words: xor.words(), oids: head === undefined ? [] : [head.oid] };
}
