import { SUBMODULE } from '#base/file-mode';
import { checkBlobsGenerated } from '#client/split/checks';
import { type ChangedPaths, ChangedPaths_Status } from '#wire/gen/diff_pb';
import { type Items, RepositoryCalls } from './storage-calls.ts';

/** A changed file, as `DiffService.findChangedPaths` yields it. */
export type ChangedFile = Pick<ChangedPaths, 'path' | 'status' | 'oldMode' | 'newMode'>;

const COLON = Buffer.from(':');

/** Analysis of contents. @see GitLab: Gitlab::GitalyClient::AnalysisService */
export class AnalysisService extends RepositoryCalls {
  /**
   * Yields for each changed file whether it is generated code, in the given order and without
   * submodules. An added file is read in `head`, every other one in `base`. Without files no call
   * is made.
   */
  async *checkBlobsGenerated(
    base: string,
    head: string,
    changedFiles: Iterable<ChangedFile>,
  ): Items<{ readonly path: Uint8Array; readonly generated: boolean }> {
    const blobs = [...changedFiles]
      .filter(({ newMode, oldMode }) => newMode !== SUBMODULE && oldMode !== SUBMODULE)
      .map(({ path, status }) => ({
        revision: Buffer.concat([
          Buffer.from(status === ChangedPaths_Status.ADDED ? head : base),
          COLON,
          path,
        ]),
        path,
      }));
    if (blobs.length === 0) return;
    const checked = this.each('medium', (gitaly) => checkBlobsGenerated(gitaly, this.repository, blobs));
    for await (const { generated, revision } of checked)
      yield { path: revision.subarray(revision.indexOf(COLON.readUInt8()) + 1), generated };
  }
}
