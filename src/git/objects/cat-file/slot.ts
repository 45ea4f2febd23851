import type { CommandRepository } from '#git/command/command-repository';
import type { GitDirectory } from '#git/repository-files/git-directory';
import type { CatFileProcess } from './cat-file-process.ts';
import type { FoundObject, Lookup } from './lookup.ts';

/** State of the pool for one repository (with one set of object directories). */
export interface Slot {
  readonly key: string;
  readonly repository: CommandRepository;
  current: CatFileProcess | undefined;
  /** Lookups of this tick that have not been sent yet. */
  queue: Lookup[];
  /** Stamp of the repository when `current` was started. */
  stamp: string;
  lastUsedAt: number;
  mailmap: { readonly info: Promise<FoundObject | undefined>; readonly askedAt: number } | undefined;
}

/** Returns the key of a repository's slot. */
export function slotKey({ path, objectDirectory, alternateObjectDirectories }: GitDirectory): string {
  return [path, objectDirectory, ...alternateObjectDirectories].join('\0');
}

/** Returns a slot without a process. */
export function newSlot(key: string, repository: CommandRepository): Slot {
  return {
    key,
    repository,
    current: undefined,
    queue: [],
    stamp: '',
    lastUsedAt: 0,
    mailmap: undefined,
  };
}
