import type { ChainState } from '#generations/chain/chain-state';
import { SETTING } from '../capture/capture-settings.ts';

/** Returns the ids under which an archive has the files of Git LFS of a state, also former ones. */
export function archivedLfsIds({ settings }: Pick<ChainState, 'settings'>): string[] {
  return (settings.get(SETTING.lfsIds) ?? '').split(' ').filter((id) => id !== '');
}
