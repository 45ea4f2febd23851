import type { ObjectStore } from '#object-store/object-store';
import { MissingObjectError } from '#object-store/store-error';
import type { BackupSource } from './backup-source.ts';
import { ListedReferences } from './listed-references.ts';
import type { BackupStep } from './manifest.ts';
import { type BackupName, findManifest, isMissing, stepsOfOthers } from './manifests.ts';

/** Where a step is stored. */
export interface ChosenStep {
  readonly step: BackupStep;
  /**
   * SHA-256 of the references of an earlier step, whose files this one replaces. Increments need
   * them, so the references must be the same.
   */
  readonly sameAs: string | undefined;
  /** Set if files of an earlier backup may exist at its place. */
  readonly mayExist: boolean;
  /** Keys of files that no other backup needs when the backup is complete. */
  readonly obsolete: readonly string[];
}

interface ChooseOptions {
  readonly bucket: ObjectStore;
  readonly source: BackupSource;
  readonly name: BackupName;
  readonly id: string;
  readonly signal: AbortSignal;
}

/**
 * Returns the step with a number, or with another one if there is a backup of this name: that stays
 * complete until the new one is, and the increments on it stay so for ever. As in Gitaly, files of
 * the same number are replaced if increments need them and neither the references have changed, nor
 * the step that they are based on.
 */
export async function chooseStep(
  stepOf: (number: number) => BackupStep,
  number: number,
  options: ChooseOptions,
): Promise<ChosenStep> {
  const step = stepOf(number);
  if (!(await hasFiles(step, options))) return { step, sameAs: undefined, mayExist: false, obsolete: [] };
  const own = await ownSteps(options);
  const others = new Map((await stepsOfOthers(options)).map((each) => [each.refPath, each]));
  const shared = others.get(step.refPath);
  // Relative to other references, the bundle would lack objects that increments need.
  if (shared !== undefined && shared.previousRefPath === step.previousRefPath) {
    const listed = await digestOf(options.source.referenceLines());
    if (listed === (await storedDigest(shared, options)))
      return { step, sameAs: listed, mayExist: true, obsolete: [] };
  }
  const used = new Set([...others.keys(), ...own.map(({ refPath }) => refPath)]);
  let free = number;
  while (used.has(stepOf(free).refPath)) free++;
  const obsolete = own.filter(({ refPath }) => !others.has(refPath)).flatMap(filesOf);
  return { step: stepOf(free), sameAs: undefined, mayExist: true, obsolete };
}

/** Reports whether anything was stored under the name of the backup. */
async function hasFiles({ refPath }: BackupStep, { bucket, signal }: ChooseOptions): Promise<boolean> {
  const folder = refPath.slice(0, refPath.lastIndexOf('/') + 1);
  for await (const page of bucket.list(folder, { signal })) if (page.length > 0) return true;
  return false;
}

/** Returns the keys of the files of a step. */
export function filesOf({ refPath, bundlePath, customHooksPath }: BackupStep): string[] {
  return [refPath, bundlePath, customHooksPath];
}

/** Returns the steps of the backup with the same name. */
async function ownSteps({ bucket, name, id, signal }: ChooseOptions): Promise<readonly BackupStep[]> {
  try {
    return (await findManifest(bucket, name, id, { signal })).steps;
  } catch (error) {
    if (isMissing(error)) return [];
    throw error;
  }
}

/** Returns the SHA-256 of a list of references; `undefined` if there is none. */
async function storedDigest(
  { refPath }: BackupStep,
  { bucket, signal }: ChooseOptions,
): Promise<string | undefined> {
  try {
    return await digestOf(bucket.get(refPath, { signal }));
  } catch (error) {
    if (error instanceof MissingObjectError) return undefined; // there was no repository
    throw error;
  }
}

async function digestOf(lines: AsyncIterable<Buffer>): Promise<string> {
  const listed = new ListedReferences();
  for await (const _ of listed.pass(lines));
  return listed.digest;
}
