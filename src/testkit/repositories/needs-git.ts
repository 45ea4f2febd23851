import { capabilitiesOf, type GitCapability, versionWith } from '#git/command/capabilities';
import { testedGit } from './run-git.ts';

/**
 * Returns the reason to skip a test of what the machine's git lacks; false if it has it.
 *
 *     test('references are migrated', { skip: needsGit('refsMigrate') }, …);
 */
export function needsGit(capability: GitCapability): string | false {
  return !capabilitiesOf(testedGit())[capability] && `needs git ${versionWith(capability)}`;
}
