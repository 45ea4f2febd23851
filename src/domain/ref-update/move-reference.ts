import { Quarantine } from '#storage/quarantine/quarantine';
import { type ReferenceUpdate, type UpdateContext, updateWithHooks } from './update-with-hooks.ts';

/**
 * Changes a reference to an object that the repository has already. GitLab and custom hooks expect
 * a quarantine even then; an empty one is made when any of them runs.
 *
 * @throws {UpdateFailedError}
 */
export async function moveReference(
  update: Omit<ReferenceUpdate, 'quarantine'>,
  context: UpdateContext,
): Promise<void> {
  const { repository } = update;
  const isChecked = await context.hooks.needsObjectCheck(repository, context.pushRules);
  await using quarantine = isChecked ? await Quarantine.create(repository) : undefined;
  await updateWithHooks({ ...update, quarantine }, context);
}
