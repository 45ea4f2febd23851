import { gitOutput } from '#testkit/repositories/init-repository';
import { compareServers } from './compare-servers.ts';
import { MAIN, NEW, type PushCase } from './push-case.ts';

/** Settings of a repository, by those that git follows in a push. */
interface SettingCase extends Pick<PushCase, 'byGit' | 'config' | 'isOfGitOverSsh'> {
  readonly set?: readonly string[];
  readonly push?: Pick<PushCase, 'command' | 'pack'>;
}

const COMMIT: Pick<PushCase, 'command' | 'pack'> = { command: ['main', 'child', MAIN], pack: ['child'] };
const BAD_ZONE: Pick<PushCase, 'command' | 'pack'> = {
  command: ['main', 'badZone', MAIN],
  pack: ['badZone'],
};
const UNKNOWN = 'a setting may change the push';
const REFUSED = 'git refuses the pack';
const HIDDEN = 'the reference is hidden';

const SETTINGS: Readonly<Record<string, SettingCase>> = {
  'a time zone that the server accepts': { push: BAD_ZONE },
  'a time zone that the repository refuses': {
    set: ['receive.fsck.badTimezone=error'],
    push: BAD_ZONE,
  },
  'a time zone that the request refuses': {
    config: ['receive.fsck.badTimezone=error'],
    push: BAD_ZONE,
    byGit: REFUSED,
  },
  'a repository without checks': { set: ['receive.fsckObjects=false'], byGit: UNKNOWN },
  'a repository without checks of transfers': { set: ['transfer.fsckObjects=false'] },
  'a request without checks': { config: ['transfer.fsckObjects=false'], byGit: UNKNOWN },
  'a request with checks of pushes alone': {
    config: ['receive.fsckObjects=true', 'transfer.fsckObjects=false'],
  },
  'another level of a message': { set: ['receive.fsck.missingEmail=warn'], byGit: UNKNOWN },
  'a small limit of bytes': { set: ['receive.maxInputSize=10'], byGit: REFUSED },
  'a large limit of bytes': { set: ['receive.maxInputSize=1000000'] },
  'no limit of bytes': { set: ['receive.maxInputSize=00'] },
  'a later limit of bytes': { set: ['receive.maxInputSize=10'], config: ['receive.maxInputSize=0'] },
  'a limit of bytes with a unit': { set: ['receive.maxInputSize=1k'], byGit: UNKNOWN },
  'a limit of objects': { set: ['receive.unpackLimit=1'], byGit: UNKNOWN },
  'a limit of objects of transfers': { set: ['transfer.unpackLimit=1'], byGit: UNKNOWN },
  'settings of other pushes': {
    set: [
      'receive.denyDeletes=true',
      'receive.denyCurrentBranch=refuse',
      'receive.denyDeleteCurrent=warn',
      'receive.denyNonFastForwards=false',
      'receive.updateServerInfo=false',
      'core.logAllRefUpdates=false',
      'gc.auto=1',
      'user.name=x',
    ],
  },
  'a setting in capitals': { config: ['RECEIVE.DENYDELETES=true'] },
  'a repository that denies it': {
    set: ['receive.denyNonFastForwards=true'],
    push: { command: ['main', 'orphan', MAIN], pack: ['orphan'] },
    byGit: UNKNOWN,
  },
  'a repository that keeps reflogs': { set: ['core.logAllRefUpdates=true'], byGit: UNKNOWN },
  'a file for dumb clients': { set: ['receive.updateServerInfo=true'], byGit: UNKNOWN },
  'maintenance after a push': { set: ['receive.autogc=true'], byGit: UNKNOWN },
  'checks of fsck': {
    set: ['fsck.badTimezone=ignore'],
    byGit: 'a setting may change the list',
  },
  'a work tree': {
    set: ['core.bare=false'],
    push: { command: ['none', 'old', NEW] },
    byGit: UNKNOWN,
  },
  'hidden references beside it': { set: ['transfer.hideRefs=refs/heads/secret'] },
  'hidden references': {
    set: ['transfer.hideRefs=refs/heads/secret'],
    push: { command: ['none', 'old', 'refs/heads/secret/x'] },
    byGit: HIDDEN,
  },
  'references that the request hides': {
    config: ['receive.hideRefs=refs/heads/new'],
    push: { command: ['none', 'old', NEW] },
    byGit: HIDDEN,
  },
  'another kind of setting in the request': { config: ['core.compression=1'], byGit: UNKNOWN },
};

compareServers(
  Object.entries(SETTINGS).map(([what, { set = [], push = COMMIT, ...others }]) => ({
    what,
    ...push,
    ...others,
    prepare: (path) => {
      for (const setting of set) gitOutput(path, ['config', ...setting.split('=')]);
    },
  })),
);
