import { GitExitError } from '#git/command/process/exit-error';
import { archiveTree } from '#storage/archive/archive-tree';
import type { Repository } from '#storage/repository';
import type { BundleSelection } from '../bundle/bundle-selection.ts';
import { bundleOfAll, bundleOfSelection } from '../bundle/create-bundle.ts';
import { HOOKS_NAME } from '../custom-hooks/set-hooks.ts';
import type { BackupSource } from './backup-source.ts';
import { referenceLines } from './reference-lines.ts';

/** The contents of a repository in a storage of this server. */
export class LocalSource implements BackupSource {
  readonly #open: () => Repository;
  readonly #signal: AbortSignal;

  /** @param open throws NOT_FOUND for a repository that does not exist. */
  constructor(open: () => Repository, signal: AbortSignal) {
    this.#open = open;
    this.#signal = signal;
  }

  async objectFormat(): Promise<string> {
    return this.#open().objectFormat;
  }

  async headReference(): Promise<string> {
    try {
      return (await this.#open().refs.headTarget({ signal: this.#signal })).toString();
    } catch (error) {
      if (error instanceof GitExitError) return '';
      throw error;
    }
  }

  referenceLines(): AsyncIterable<Buffer> {
    return referenceLines(this.#open(), this.#signal);
  }

  bundle(selection?: BundleSelection): AsyncIterable<Buffer> {
    const options = { signal: this.#signal };
    return selection === undefined
      ? bundleOfAll(this.#open(), options)
      : bundleOfSelection(this.#open(), selection, options);
  }

  customHooks(): AsyncIterable<Uint8Array> {
    const directory = `${this.#open().path}/${HOOKS_NAME}`;
    return archiveTree(directory, { name: HOOKS_NAME, signal: this.#signal });
  }
}
