import { replayArea } from './replay-area.ts';

/** These build on the backups of the case before. */
const CONTINUED =
  /^(restore|readbackupid)\/|^writebackupid\/(?!default)|^backup\/(id-|bad-|increment-|same-|prepare-)/;

replayArea('repository-backup', {
  withoutBackups: ({ id }) => id === 'backup/prepare-hooks' || !CONTINUED.test(id),
});
